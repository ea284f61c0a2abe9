import { change, drop } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { FLEET_MONTH, SCHEDULES, SIMULATION } from "./named-tests.ts";

const contract = (title: string): NamedTest => ({
  file: "packages/counter-core/test/local-counter-backend.contract.test.ts",
  title,
});

export const COUNTER_MUTATIONS: readonly Mutation[] = [
  {
    name: "forgets what it read of backends that are not there yet",
    edit: drop,
    caughtBy: [
      SIMULATION,
      contract("that begin with what the store held of them when it was last read, which is stored"),
    ],
  },
  {
    name: "takes what it read of a month that is over for this month's",
    edit: drop,
    caughtBy: [contract("that begin at zero in a month that has begun since")],
  },
  {
    name: "forgets the periods that are over",
    edit: change(/\.all\(\)/, ".all().slice(-1)"),
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
    edit: change(/period: [\w.]+/, "period: this.#ledger.current().period.key"),
    caughtBy: [SIMULATION, FLEET_MONTH],
  },
  {
    name: "lets the cells of a closed period go at once",
    edit: drop,
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
    edit: change(/Math\.min\(.*, ([A-Z_]+)\)/, "$1"),
    caughtBy: [contract("turns right at the boundary, not at the next tick of a timer")],
  },
  {
    name: "takes what was stored in the month before for this month's",
    edit: drop,
    caughtBy: [contract("ignores a baseline that was read before midnight and arrives after it")],
  },
  {
    name: "takes all that is stored for what others counted",
    edit: change(/ - \w+/, ""),
    caughtBy: [
      SCHEDULES,
      contract("does not count what it stored twice, when it learns of it before it knows that it was stored"),
    ],
  },
  {
    name: "trusts that the store keeps what it took",
    edit: drop,
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
    edit: change(/randomBytes/, "Buffer.alloc"),
    caughtBy: [
      {
        file: "packages/counter-core/test/local-counter-backend.test.ts",
        title: "draws a writer of its own: a UUIDv7 that sorts by time",
      },
    ],
  },
];
