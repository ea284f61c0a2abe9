import type { Mutation, NamedTest } from "./mutation.ts";
import { SIMULATION } from "./named-tests.ts";

const flush = (title: string): NamedTest => ({ file: "packages/tracker/test/flush.test.ts", title });
const flusher = (title: string): NamedTest => ({ file: "packages/tracker/test/usage-flusher.test.ts", title });

const MERGE = "await untilAborted(store.merge(tallies, options), signal)";

export const TRACKER_MUTATIONS: readonly Mutation[] = [
  {
    name: "settles before it merges",
    file: "packages/tracker/src/flush-queue.ts",
    find: `rejected = ${MERGE};`,
    replace: `this.#counter.settle(tallies); rejected = ${MERGE};`,
    caughtBy: [
      SIMULATION,
      flush("leaves the counts as they were when the store fails, and stores them once with the next flush"),
    ],
  },
  {
    name: "settles what failed",
    file: "packages/tracker/src/flush-queue.ts",
    find: `rejected = ${MERGE};`,
    replace: `rejected = ${MERGE}.catch(() => []);`,
    caughtBy: [
      SIMULATION,
      flush("leaves the counts as they were when the store fails, and stores them once with the next flush"),
    ],
  },
  {
    name: "stores nothing when it cannot read",
    file: "packages/tracker/src/flush-queue.ts",
    find: "failure = { error };\n        });",
    replace: "throw error;\n        });",
    caughtBy: [
      flusher(
        "stores what is counted also while the totals cannot be read, says so once a flush, and tries again soon",
      ),
    ],
  },
  {
    name: "takes a failed flush for a good one",
    file: "packages/tracker/src/usage-flusher.ts",
    find: "lastError: error };\n      throw error;",
    replace: "lastError: error }; return { stored: 0, rejected: [] };",
    caughtBy: [
      {
        file: "apps/demo-proxy/test/compose-postgres.test.ts",
        title: "goes on while the database is down, stores everything once it is back, and continues after a restart",
      },
    ],
  },
  {
    name: "does not flush again after a failure",
    file: "packages/tracker/src/usage-flusher.ts",
    find: "this.#wait(schedule, failures === 0 ? intervalMs : retryMs, period);",
    replace: "if (failures === 0) this.#wait(schedule, intervalMs, period);",
    caughtBy: [
      flusher("backs off exponentially while the store fails, also near a limit, and stores all once it is back"),
    ],
  },
  {
    name: "does not flush when it is stopped",
    file: "packages/tracker/src/usage-flusher.ts",
    find: "const outcome = await this.#flush().then(",
    replace: "const outcome = await Promise.resolve({ rejected: [] }).then(",
    caughtBy: [flusher("flushes a last time when it is stopped, and not after that")],
  },
  {
    name: "does not say what remains",
    file: "packages/tracker/src/usage-flusher.ts",
    find: "if (remaining.length > 0) throw",
    replace: "if (remaining.length < 0) throw",
    caughtBy: [
      flusher("says what remains when the last flush fails, and can be stopped again"),
      {
        file: "apps/demo-proxy/test/main.test.ts",
        title: "says what is not stored, by period and backend, and exits 1",
      },
    ],
  },
];
