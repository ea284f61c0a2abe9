import { always, before, change, drop, instead, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const main = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/main.test.ts", title });
const own = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/proxy/own-addresses.test.ts", title });
const proxy = (file: string, title: string): NamedTest => ({
  file: `apps/demo-proxy/test/proxy/${file}.test.ts`,
  title,
});
const ABORTED = proxy(
  "aborted-downloads",
  "a client that reads nothing and goes away is charged what had come from the upstream, %s",
);
const CUT = proxy(
  "aborted-downloads",
  "what had come for a request that is cut at the end is counted before the last flush",
);
const secret = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/secrets.test.ts", title });
const NEVER_SHOWN = secret("is in no line of the log and in no answer of the admin listener");
const CONTINUES = main("continues where the store stands when it starts again");

export const PROXY_MUTATIONS: readonly Mutation[] = [
  {
    name: "flushes the last time while requests still run",
    edit: change(/^const \{ cut \} = await (.*)/, "$1 const cut = 0;"),
    caughtBy: [main("lets running requests end, stores everything, and exits 0")],
  },
  {
    name: "closes before load balancers know",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/process/shutdown.test.ts",
        title: "says that it is not ready, and takes requests until the delay is over",
      },
    ],
  },
  {
    name: "takes a reference for a text",
    edit: drop,
    caughtBy: [secret("is what the reference stands for, and not its text: %s")],
  },
  {
    name: "takes a variable that is not set for an empty one",
    edit: always,
    caughtBy: [secret("keeps the proxy from starting where it stands for nothing")],
  },
  {
    name: "shows the path of an upstream",
    edit: instead("return origin + pathname;"),
    caughtBy: [NEVER_SHOWN],
  },
  {
    name: "shows what a reference stands for",
    edit: always,
    caughtBy: [NEVER_SHOWN],
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
  {
    name: "takes a reader for silent while kernels hold what he reads",
    edit: yields("Number.MAX_VALUE"),
    caughtBy: [
      proxy(
        "slow-readers",
        "a download is not cut while its client reads it slowly, though kernels show nothing of that for longer than silence may last",
      ),
      proxy(
        "reader-silence",
        "whoever reads evenly, and not slower than is allowed, is never silent, however seldom the kernels say so",
      ),
    ],
  },
  {
    name: "waits for ever for a client to read",
    edit: yields("false"),
    caughtBy: [
      proxy("client-limits", "a client that does not read its answer is cut off"),
      proxy("trickles", "%s: nothing is read by that, and its response is cut off"),
    ],
  },
  {
    name: "waits for ever for an upstream to answer",
    edit: yields("false"),
    caughtBy: [proxy("trickles", "%s: nothing is answered by that, 504")],
  },
  {
    name: "leaves unread what had come of an aborted download",
    edit: instead("state.controller.abort(new errors.RequestAbortedError());"),
    caughtBy: [ABORTED, CUT],
  },
  {
    name: "flushes while what was cut is still being counted",
    edit: never,
    caughtBy: [CUT],
  },
];
