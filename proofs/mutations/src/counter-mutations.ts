import { change, drop, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { FLEET_MONTH, SCHEDULES, SIMULATION } from "./named-tests.ts";

const contract = (title: string): NamedTest => ({
  file: "packages/counter-core/test/local-counter-backend.contract.test.ts",
  title,
});

const openBackends = (title: string): NamedTest => ({
  file: "packages/counter-core/test/open-backends.test.ts",
  title,
});

export const COUNTER_MUTATIONS: readonly Mutation[] = [
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
    edit: change(/cells\.period/, "this.#periods.current().period"),
    caughtBy: [SIMULATION, FLEET_MONTH],
  },
  {
    name: "lets the cells of a closed period go at once",
    edit: drop,
    caughtBy: [
      contract("keeps what is not confirmed for as many periods as it takes"),
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
      contract("has another tally of what the store took and lost again, until that is confirmed, too"),
      {
        file: "packages/tracker/test/usage-flusher.test.ts",
        title: "stores again what a store has taken and lost, though nothing more is counted",
      },
    ],
  },
  {
    name: "counts a late settle in the row that its backend had",
    edit: yields("row"),
    caughtBy: [
      {
        file: "packages/counter-core/test/open-backends.test.ts",
        title:
          "charges a hold that expired to nobody else once its backend was let go of, and to it where it is held again",
      },
    ],
  },
  {
    name: "holds a backend without what others had stored of it",
    edit: drop,
    caughtBy: [
      contract("holds a backend from `ensure` on, with what the store knows of it"),
      {
        file: "packages/tracker/test/ensure.test.ts",
        title: "knows that a limit is used up at the first request after a restart",
      },
    ],
  },
  {
    name: "lets go of what is not stored",
    edit: yields("true"),
    caughtBy: [
      {
        file: "packages/counter-core/test/open-schedules.test.ts",
        title: "lose and double nothing in random schedules (discarded now and then: %s)",
      },
      {
        file: "packages/tracker/test/release.test.ts",
        title: "happens by itself to what is idle and stored, and never to what somebody ensures",
      },
    ],
  },
  {
    name: "goes on from what was read before it was let go of",
    edit: drop,
    caughtBy: [openBackends("loses nothing where an earlier reading ends after it was held, counted in and let go of")],
  },
  {
    name: "goes on under the name of what was discarded",
    edit: drop,
    caughtBy: [
      openBackends(
        "counts under another writer's name after it was discarded, since what it sent before may still arrive",
      ),
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
