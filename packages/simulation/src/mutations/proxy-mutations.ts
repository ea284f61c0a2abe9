import type { Mutation, NamedTest } from "./mutation.ts";

const main = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/main.test.ts", title });
const CONTINUES = main("continues where the store stands when it starts again");

export const PROXY_MUTATIONS: readonly Mutation[] = [
  {
    name: "flushes the last time while requests still run",
    file: "apps/demo-proxy/src/proxy-app.ts",
    find: "const { cut } = await proxy.close({ graceMs });",
    replace: "const closing = proxy.close({ graceMs }); const cut = 0;",
    caughtBy: [main("lets running requests end, stores everything, and exits 0")],
  },
  {
    name: "lets go of Redis and the database before the last flush",
    file: "apps/demo-proxy/src/proxy-app.ts",
    find: "readiness.ready = false;\n    const",
    replace: "readiness.ready = false; await closeParts();\n    const",
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-shutdown.test.ts",
        title: "closes its listener, then flushes, then lets go of Redis and the database",
      },
    ],
  },
  {
    name: "flushes only at the end",
    file: "apps/demo-proxy/src/proxy-app.ts",
    find: "this.flusher.start();",
    replace: "",
    caughtBy: [CONTINUES],
  },
  {
    name: "listens without knowing what was used before",
    file: "apps/demo-proxy/src/compose.ts",
    find: "await loadBaselines(config, tracker, store, clock);",
    replace: "",
    caughtBy: [
      CONTINUES,
      {
        file: "apps/demo-proxy/test/compose.test.ts",
        title: "knows what the store holds, so that a limit that is used up stays closed",
      },
    ],
  },
];
