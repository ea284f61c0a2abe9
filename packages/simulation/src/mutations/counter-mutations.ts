import type { Mutation, NamedTest } from "./mutation.ts";
import { FLEET_MONTH, SCHEDULES, SIMULATION } from "./named-tests.ts";

const contract = (title: string): NamedTest => ({
  file: "packages/counter-core/test/local-counter-backend.contract.test.ts",
  title,
});

export const COUNTER_MUTATIONS: readonly Mutation[] = [
  {
    name: "forgets the periods that are over",
    file: "packages/counter-core/src/tally-book.ts",
    find: "for (const cells of this.#ledger.all()) {\n      for (let i",
    replace: "for (const cells of [this.#ledger.current()]) {\n      for (let i",
    caughtBy: [
      SIMULATION,
      contract("begins at zero at midnight, and keeps what was counted before it in its own month"),
      {
        file: "packages/tracker/test/usage-flusher.test.ts",
        title: "stores counts of the month before when it is stopped after midnight",
      },
    ],
  },
  {
    name: "counts a closed period into the current one",
    file: "packages/counter-core/src/tally-book.ts",
    find: "period: cells.period.key, backend, usage }",
    replace: "period: this.#ledger.current().period.key, backend, usage }",
    caughtBy: [SIMULATION, FLEET_MONTH],
  },
  {
    name: "lets the cells of a closed period go at once",
    file: "packages/counter-core/src/heap-ledger.ts",
    find: "this.#archive.close(this.#current);",
    replace: "",
    caughtBy: [
      contract("keeps what is not settled for as many periods as it takes"),
      {
        file: "apps/demo-proxy/test/compose.test.ts",
        title: "usage lands in the month in which it was counted, and limits open again",
      },
    ],
  },
  {
    name: "turns the period at the next tick of a timer",
    file: "packages/counter-core/src/coarse-clock.ts",
    find: "Math.min(Math.max(Math.ceil(untilNext), 1), MAX_REFRESH_MS)",
    replace: "MAX_REFRESH_MS",
    caughtBy: [contract("turns right at the boundary, not at the next tick of a timer")],
  },
  {
    name: "takes what was stored in the month before for this month's",
    file: "packages/counter-core/src/tally-book.ts",
    find: "if (period !== cells.period.key) return wanted;",
    replace: "",
    caughtBy: [contract("ignores a baseline that was read before midnight and arrives after it")],
  },
  {
    name: "takes all that is stored for what others counted",
    file: "packages/counter-core/src/tally-book.ts",
    find: "amountOf(all, dimension) - amount)",
    replace: "amountOf(all, dimension))",
    caughtBy: [
      SCHEDULES,
      contract("does not count what it stored twice, when it learns of it before it knows that it was stored"),
    ],
  },
  {
    name: "trusts that the store keeps what it took",
    file: "packages/counter-core/src/tally-book.ts",
    find: "if (amount < cells.settled(cell)) cells.setSettled(cell, amount);",
    replace: "",
    caughtBy: [
      contract("has another tally of what the store took and lost again, until that is settled, too"),
      {
        file: "packages/tracker/test/usage-flusher.test.ts",
        title: "stores again what a store has taken and lost, though nothing more is counted",
      },
    ],
  },
  {
    name: "counts under the same writer in every run",
    file: "packages/counter-core/src/writer.ts",
    find: "randomBytes(16)",
    replace: "Buffer.alloc(16)",
    caughtBy: [
      {
        file: "packages/counter-core/test/local-counter-backend.test.ts",
        title: "draws a writer of its own: a UUIDv7 that sorts by time",
      },
    ],
  },
];
