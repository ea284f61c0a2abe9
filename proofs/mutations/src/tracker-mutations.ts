import { always, before, change, drop, instead } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { SIMULATION } from "./named-tests.ts";

const flush = (title: string): NamedTest => ({ file: "packages/tracker/test/flush.test.ts", title });
const reader = (title: string): NamedTest => ({ file: "packages/tracker/test/store-reader.test.ts", title });
const losses = (title: string): NamedTest => ({ file: "packages/tracker/test/store-losses.test.ts", title });
const flusher = (title: string): NamedTest => ({ file: "packages/tracker/test/usage-flusher.test.ts", title });

export const TRACKER_MUTATIONS: readonly Mutation[] = [
  {
    name: "takes a limit of 0 for none",
    edit: change(/limit === undefined/, "!limit"),
    caughtBy: [
      {
        file: "packages/tracker/test/usage-tracker.test.ts",
        title: "takes absent and undefined limits as unlimited, and 0 as nothing may be used",
      },
      {
        file: "apps/demo-proxy/test/proxy/limits.test.ts",
        title: "of 0 let nothing through in that dimension, in either policy, and promise no better time",
      },
    ],
  },
  {
    name: "takes what has not changed for lost",
    edit: change(/\[\.\.\.usage\.keys\(\)\]/, "this.#counter.backends()"),
    caughtBy: [reader("nothing of what did not change: it is not taken for lost")],
  },
  {
    name: "knows after a discard no more of what is stored than before it",
    edit: drop,
    caughtBy: [reader("what was stored of a backend before it was discarded, though nothing has changed since")],
  },
  {
    name: "knows nothing of a month that it let go of and into which the clock steps back",
    edit: drop,
    caughtBy: [
      reader(
        "all of a month again into which the clock steps back, where it was let go of, though nothing has changed since",
      ),
    ],
  },
  {
    name: "does not look whether the store still has what it took last",
    edit: instead("return false;"),
    caughtBy: [
      reader("that a store has lost what it took last, and reads all that is held: that is stored again"),
      flusher("stores again what a store has taken and lost, though nothing more is counted"),
    ],
  },
  {
    name: "goes on from its cursor in a store that lost what it had",
    edit: drop,
    caughtBy: [reader("that a store has lost what it took last, and reads all that is held: that is stored again")],
  },
  {
    name: "does not send again what a store says it lost",
    edit: always,
    caughtBy: [
      losses("gets all that is counted again in that flush, closed periods included, and the flush says so"),
      losses("is not taken to have stored anything while it cannot begin anew, not even at the end"),
      {
        file: "apps/demo-proxy/test/store-file-gone.test.ts",
        title: "stores it again when it is stopped, though nothing was counted since",
      },
    ],
  },
  {
    name: "confirms before it merges",
    edit: before("counter.confirm(tallies);"),
    caughtBy: [
      SIMULATION,
      flush("leaves the counts as they were when the store fails, and stores them once with the next flush"),
    ],
  },
  {
    name: "confirms what failed",
    edit: change(/;$/, ".catch(() => []);"),
    caughtBy: [
      SIMULATION,
      flush("leaves the counts as they were when the store fails, and stores them once with the next flush"),
    ],
  },
  {
    name: "stores nothing when it cannot read",
    edit: instead("throw error;"),
    caughtBy: [
      flusher(
        "stores what is counted also while the totals cannot be read, says so once a flush, and tries again soon",
      ),
    ],
  },
  {
    name: "takes what could not be read of a backend for unchanged",
    edit: drop,
    caughtBy: [
      reader("what others stored while a backend was being brought in, though a read has passed over it meanwhile"),
    ],
  },
  {
    name: "takes a failed flush for a good one",
    edit: instead("return { stored: 0, rejected: [] };"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/compose-postgres.test.ts",
        title: "goes on while the database is down, stores everything once it is back, and continues after a restart",
      },
    ],
  },
  {
    name: "does not flush again after a failure",
    edit: before("if (failures === 0)"),
    caughtBy: [
      flusher("backs off exponentially while the store fails, also near a limit, and stores all once it is back"),
    ],
  },
  {
    name: "does not flush when it is stopped",
    edit: change(/await .*?\)\.then/, "await Promise.resolve({ rejected: [] }).then"),
    caughtBy: [flusher("flushes a last time when it is stopped, and not after that")],
  },
  {
    name: "does not say what remains",
    edit: drop,
    caughtBy: [
      flusher("says what remains when the last flush fails, and can be stopped again"),
      {
        file: "apps/demo-proxy/test/main.test.ts",
        title: "says what is not stored, by period and backend, and exits 1",
      },
    ],
  },
];
