import { always, before, change, drop, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const main = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/main.test.ts", title });
const own = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/proxy/own-addresses.test.ts", title });
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
  {
    name: "takes an upstream's own address for another's",
    edit: yields("false"),
    caughtBy: [
      own("keeps a client that follows a redirect at the meter: %s"),
      own("leads a client that reads Link from page to page"),
    ],
  },
  {
    name: "leaves the upstream's own path in its addresses",
    edit: always,
    caughtBy: [own("leads to the same resource where the upstream's URL has a path: %s")],
  },
];
