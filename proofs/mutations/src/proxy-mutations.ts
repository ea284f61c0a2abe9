import { before, change, drop } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const main = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/main.test.ts", title });
const CONTINUES = main("continues where the store stands when it starts again");

export const PROXY_MUTATIONS: readonly Mutation[] = [
  {
    name: "flushes the last time while requests still run",
    edit: change(/^const \{ cut \} = await (.*)/, "$1 const cut = 0;"),
    caughtBy: [main("lets running requests end, stores everything, and exits 0")],
  },
  {
    name: "lets go of Redis and the database before the last flush",
    edit: before("await closeParts();"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-shutdown.test.ts",
        title: "closes its listener, then flushes, then lets go of Redis and the database",
      },
    ],
  },
  {
    name: "flushes only at the end",
    edit: drop,
    caughtBy: [CONTINUES],
  },
  {
    name: "listens without knowing what was used before",
    edit: drop,
    caughtBy: [
      CONTINUES,
      {
        file: "apps/demo-proxy/test/compose.test.ts",
        title: "knows what the store holds, so that a limit that is used up stays closed",
      },
    ],
  },
];
