import { before, change, instead, never } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { SIMULATION } from "./named-tests.ts";

const flush = (title: string): NamedTest => ({ file: "packages/tracker/test/flush.test.ts", title });
const flusher = (title: string): NamedTest => ({ file: "packages/tracker/test/usage-flusher.test.ts", title });

export const TRACKER_MUTATIONS: readonly Mutation[] = [
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
    edit: never,
    caughtBy: [
      {
        file: "packages/tracker/test/ensure-failures.test.ts",
        title: "learns the rest with the next refresh, whose cursor is later than that, where another one %s",
      },
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
    edit: never,
    caughtBy: [
      flusher("says what remains when the last flush fails, and can be stopped again"),
      {
        file: "apps/demo-proxy/test/main.test.ts",
        title: "says what is not stored, by period and backend, and exits 1",
      },
    ],
  },
];
