import { before, change, drop, never } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const contract = (title: string): NamedTest => ({
  file: "packages/counter-core/test/local-counter-backend.contract.test.ts",
  title,
});
const threads = (title: string): NamedTest => ({ file: "packages/counter-core/test/thread-limits.test.ts", title });
const reserve = (title: string): NamedTest => ({ file: "packages/tracker/test/reserve.test.ts", title });

/** What holds keep free, what a decision says of that, and limits among threads. */
export const HOLD_MUTATIONS: readonly Mutation[] = [
  {
    name: "counts what is settled a second time",
    edit: drop,
    caughtBy: [contract("once: ending it again, in whatever way, changes nothing")],
  },
  {
    name: "counts what a hold used in the month in which it ends",
    edit: change(/cells\.period/, "this.current().period"),
    caughtBy: [contract("in the month in which it began, whenever it ends; the next one is whole")],
  },
  {
    name: "what is held in one month is not free in another",
    edit: change(/cells === this\.#current/, "true"),
    caughtBy: [contract("in the month in which it began, whenever it ends; the next one is whole")],
  },
  {
    name: "counts nothing of what is settled after its time",
    edit: before('if (hold.state === "open")'),
    caughtBy: [contract("for its time, then it is free again; what is settled later is counted in full, and told")],
  },
  {
    name: "tells clients to come back next month for what is only held",
    edit: never,
    caughtBy: [
      {
        file: "packages/tracker/test/http.test.ts",
        title: "promises nothing for next month where others are in the way: %s",
      },
    ],
  },
  {
    name: "says that no limit is passed by what was settled above its hold",
    edit: change(/excess\[dimension\] \+ /, ""),
    caughtBy: [
      reserve(
        "is told by how much a limit may be passed: by what was settled above its hold, and by what was written off",
      ),
    ],
  },
  {
    name: "takes more of a limit than is left",
    edit: change(/Math\.min\(left, (.*)\);$/, "$1;"),
    caughtBy: [threads("have holds of threads in them, which the counter tells, and what was settled above them")],
  },
  {
    name: "takes of a limit what another thread takes at once",
    edit: change(/Atomics\.compareExchange\((.*), word, (.*)\) === word/, "Atomics.store($1, $2) !== undefined"),
    caughtBy: [threads("of many backends, each so small that nobody has a share, are used up by four and not passed")],
  },
  {
    name: "leaves with other threads what they do not use",
    edit: drop,
    caughtBy: [threads("strand nothing with one that is idle: others take what it has not used")],
  },
  {
    name: "leaves threads their shares of a limit that is lowered",
    edit: drop,
    caughtBy: [threads("regard at once %s, though shares were taken before")],
  },
  {
    name: "a thread records without asking, and leaves others as much as before",
    edit: drop,
    caughtBy: [
      threads("are closed for all where more is used, also for what needs nothing of it, until they are raised"),
    ],
  },
  {
    name: "lets threads use in one month what was left of another",
    edit: change(/Atomics\.add\(this\.#control, TURN, 1\) \+ 1/, "Atomics.load(this.#control, TURN)"),
    caughtBy: [threads("are whole in a new month, whatever shares threads have taken of the one before")],
  },
  {
    name: "what a thread held is counted in the month in which it ends",
    edit: never,
    caughtBy: [threads("open again with the month, and holds of a thread are counted where they began")],
  },
  {
    name: "tells that there is room before the hold has ended",
    edit: before("this.tellFreed(hold.backend);"),
    caughtBy: [reserve("keeps nothing more free once the hold has ended, its time is up or it is told to stop")],
  },
];
