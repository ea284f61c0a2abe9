import { always, change, drop, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const exact = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/proxy/exact-bodies.test.ts", title });
const shared = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/exact-limits.test.ts", title });

export const EXACT_PROXY_MUTATIONS: readonly Mutation[] = [
  {
    name: "lets a body pass that has no room",
    edit: change(/lacks > 0/, "false"),
    caughtBy: [
      exact("is cut where it is under way, and never seems to be whole"),
      shared("hand out no byte more than the limit, and nearly all of them, in bodies whose length nobody knows"),
      shared("send on no byte more than the limit of uploads whose length nobody knows, and nearly all of them"),
      exact("is cut: its client is told, and its backend does not take it for a whole one"),
      {
        file: "apps/demo-proxy/test/proxy/websockets.test.ts",
        title:
          "within exact limits a WebSocket passes what there is room for, and is closed with 1008 on that: both sides get never more",
      },
    ],
  },
  {
    name: "ends what was cut as if it were whole",
    edit: change(/breakOff\(([^)]*)\)/, "$1.end()"),
    caughtBy: [exact("is cut where it is under way, and never seems to be whole")],
  },
  {
    name: "ends a body that only its connection ends as if it were whole",
    edit: drop,
    caughtBy: [exact("is cut by a reset for a client whose bodies end with the connection")],
  },
  {
    name: "counts nothing of an answer that had no room",
    edit: drop,
    caughtBy: [exact("does not begin where its length is not known and its first piece has none")],
  },
  {
    name: "cuts what runs when the month is over",
    edit: always,
    caughtBy: [exact("goes on in the month that has begun, whose room it takes")],
  },
  {
    name: "refuses what would have room in a moment",
    edit: yields("false"),
    caughtBy: [
      exact("waits for it, and takes it from who came later"),
      shared("let exactly as many requests through as the limit allows, and refuse none before"),
    ],
  },
  {
    name: "keeps looking for room for a client that has gone away",
    edit: drop,
    caughtBy: [exact("keeps nothing free once its client has gone away")],
  },
];
