import { before, change, drop, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const notifier = (title: string): NamedTest => ({
  file: "packages/tracker/test/thresholds/threshold-notifier.test.ts",
  title,
});
const granted = (title: string): NamedTest => ({ file: "packages/tracker/test/thresholds/granted.test.ts", title });
const fleet = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/thresholds/fleet.test.ts", title });
const notices = (title: string): NamedTest => ({ file: "packages/store-drizzle/test/notices.test.ts", title });
const contract = (dialect: "sqlite" | "postgres", title: string): NamedTest => ({
  file: `packages/store-drizzle/test/${dialect}-contract.test.ts`,
  title,
});
const memory = (title: string): NamedTest => ({ file: "packages/counter-core/test/store-contract.test.ts", title });
const REPLACED: NamedTest = {
  file: "apps/demo-proxy/test/thresholds/store-replaced.test.ts",
  title: "a SQLite file that is deleted, with what it had to tell, is told of again under the same ids",
};
const SCHEDULES: NamedTest = {
  file: "apps/demo-proxy/test/thresholds/schedules.test.ts",
  title:
    "every threshold that is crossed is told once or more, under one id, never early, whatever fails in whatever order",
};
const LOOKING: NamedTest = {
  file: "packages/tracker/test/thresholds/looking-costs.test.ts",
  title: "a look costs what has changed and may have crossed something, of 20,000 backends",
};
const GIVEN = "gives what came with a new mark to who takes its channel, also after it was opened again";
const UNTIL_ACKNOWLEDGED = "gives a notice again, after a pause that grows, until it is acknowledged";
const TO_ONE = "gives each notice to one of many who take at once, and no more than were asked for";
const FIRST = "keeps the notice of who was told that the mark is new, and no other";

export const THRESHOLD_MUTATIONS: readonly Mutation[] = [
  {
    name: "a threshold event is claimed by each who finds it",
    edit: change(/`;/, "` + Math.random();"),
    caughtBy: [
      notifier("tell of each crossing once where nothing fails, whoever finds it and however often"),
      fleet("are told once each where nothing fails, by one of several processes"),
      {
        file: "apps/demo-proxy/test/clients/client-thresholds.test.ts",
        title: "are told once by all proxies of a store, and not again by their next run",
      },
    ],
  },
  {
    name: "a threshold event is acknowledged before it is told",
    edit: before("await store.acknowledge([notice]);"),
    caughtBy: [
      notifier("is tried again after pauses that double from 30 s to an hour, under the same id, until it succeeds"),
      fleet(
        "that somebody claimed and did not take, or took and did not tell, before it was killed are told by another",
      ),
      SCHEDULES,
    ],
  },
  {
    name: "a threshold event has an id of when it was found",
    edit: change(/limit\]/, "limit, performance.now()]"),
    caughtBy: [
      REPLACED,
      notifier("are told again under the same ids once all is read anew of a store that lost the marks alone"),
    ],
  },
  {
    name: "a threshold is told of early",
    edit: change(/threshold \* limit/, "threshold * limit - 1"),
    caughtBy: [
      notifier("are told of once each, when what is stored reaches them and not before"),
      fleet(
        "are told at least once, under one id each and never early, while processes are killed and the receiver fails",
      ),
    ],
  },
  {
    name: "waits for ever for who is told of a threshold",
    edit: change(
      /withinTime\(.*async \(signal\) => (onThreshold\(.*?\))\)/,
      "(async (signal) => $1)(AbortSignal.any([]))",
    ),
    caughtBy: [
      notifier("that hangs is given up, its signal is aborted, and it is tried again; others are told meanwhile"),
    ],
  },
  {
    name: "does not claim again what the store has lost",
    edit: drop,
    caughtBy: [
      REPLACED,
      notifier("are told again under the same ids once all is read anew of a store that lost the marks alone"),
    ],
  },
  {
    name: "does not look at what others have stored",
    edit: drop,
    caughtBy: [
      notifier("are told of what was reached before it started, of what was brought in, and of what others stored"),
    ],
  },
  {
    name: "does not look at what the last flush has stored",
    edit: drop,
    caughtBy: [notifier("are found in the last flush, and told by whoever starts next")],
  },
  {
    name: "forgets what it could not look at",
    edit: drop,
    caughtBy: [
      notifier("are found once the store can be asked again, though nothing is counted and nothing flushed any more"),
    ],
  },
  {
    name: "thresholds of a new limit are those of the old one",
    edit: yields("told?.upTo ?? 0"),
    caughtBy: [
      notifier("begin anew for a limit that changes, raised or lowered, and are not told again where it comes back"),
    ],
  },
  {
    name: "tells of thresholds without asking for what was granted",
    edit: drop,
    caughtBy: [granted("that another instance has given and used is known before what it used is told of")],
  },
  {
    name: "takes what was granted for a period that is over for nothing",
    edit: change(/: await .*;/, ": [];"),
    caughtBy: [
      granted(
        "of a period that is over is part of the limit of what is stored late of it, by whoever has not known of it",
      ),
    ],
  },
  {
    name: "asks the store for all that was touched",
    edit: change(/^if \(.*\) (?=unread)/, ""),
    caughtBy: [LOOKING],
  },
  {
    name: "the store in memory gives a notice again at once",
    edit: drop,
    caughtBy: [memory(GIVEN)],
  },
  {
    name: "SQLite gives a notice again at once",
    edit: change(/, dueAt: .*(?= \})/, ""),
    caughtBy: [contract("sqlite", GIVEN), notices("go to one each of several processes that take at once")],
  },
  {
    name: "Postgres gives a notice to all who take at once",
    edit: change(/oldest\.for\(.*?\}\)/, "oldest"),
    caughtBy: [contract("postgres", TO_ONE), notices("go to one each of several processes that take at once")],
  },
  {
    name: "Postgres waits for who is taking a notice",
    edit: change(/, \{ skipLocked: true \}/, ""),
    caughtBy: [notices("that another one is taking are passed over, and not waited for")],
  },
  {
    name: "a notice is never acknowledged",
    edit: drop,
    caughtBy: [
      contract("sqlite", UNTIL_ACKNOWLEDGED),
      notices("of one who took them and died are given again, and what is acknowledged is not"),
    ],
  },
  {
    name: "keeps the notice of the last of the same marks",
    edit: change(/if \(.*?\)\) (?=byKey)/, ""),
    caughtBy: [contract("sqlite", FIRST)],
  },
];
