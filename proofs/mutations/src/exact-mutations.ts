import { always, change, drop, yields } from "./edits.ts";
import type { Mutation } from "./mutation.ts";
import {
  EXACT_FLEET_HANGS,
  EXACT_SIMULATION,
  exactFleet,
  exactSchedule,
  GRANTS,
  MODEL,
  schedule,
} from "./named-tests.ts";

/** Of what the script grants. */
const GRANT_MUTATIONS: readonly Mutation[] = [
  { name: "slices are granted of what others hold", edit: change(/ - item\.held\[place\]/, ""), caughtBy: [GRANTS] },
  {
    name: "slices are granted in an epoch that is not ripe",
    edit: change(/not at\.is_ripe or /, ""),
    caughtBy: [MODEL],
  },
  {
    name: "slices are granted where the store's rows may be missing",
    edit: change(/ or item\.known_mark ~= at\.id/, ""),
    caughtBy: [MODEL],
  },
  {
    name: "what is asked for is added instead of raised to",
    edit: change(/ - granted/, ""),
    caughtBy: [GRANTS],
  },
  {
    name: "the model of Redis adds what is asked for",
    edit: change(/ - granted/, ""),
    caughtBy: [exactSchedule("is used up where everything arrives twice, the second time when its sender has stopped")],
  },
  {
    name: "a renewed epoch is as ripe as the one before",
    edit: change(/found\[4\] == found\[1\]/, "found[4]"),
    caughtBy: [MODEL],
  },
  {
    name: "the model of Redis grants what others hold",
    edit: change(/ - this\.#held\(name\)/, ""),
    caughtBy: [EXACT_SIMULATION],
  },
];

/** Of when slices are granted. */
const RIPENING_MUTATIONS: readonly Mutation[] = [
  {
    name: "slices are granted at once where some may be missing",
    edit: yields("true"),
    caughtBy: [
      EXACT_SIMULATION,
      exactSchedule(
        "is not passed where Redis is wiped, and somebody who has a slice cannot say so again before its lease ends",
      ),
      exactFleet("do not pass it when Redis forgets (%s) while one of them %s, who is back within its lease"),
    ],
  },
  {
    name: "whoever opened a bucket makes it ripe whatever it has lost since",
    edit: change(/get\(bucket\) === bucket\.epoch/, "has(bucket)"),
    caughtBy: [exactSchedule("is not passed by who opened a bucket, where that has lost slices since")],
  },
  {
    name: "takes any server for one that tells when it has lost data",
    edit: always,
    caughtBy: [
      {
        file: "packages/counter-redis/test/exact-needs.test.ts",
        title: "that scripts may read INFO: else it is refused, with what to do; approximate limits need none of it",
      },
    ],
  },
  {
    name: "opens a period when it has begun",
    edit: always,
    caughtBy: [schedule("in which a month ends while nothing fails: nobody finds the next one unready")],
  },
  {
    name: "takes a bucket that was ripe before for one that nobody had opened",
    edit: change(/ && !bucket\.wasRipe/, ""),
    caughtBy: [
      schedule("in which a store is bound when slices are out, and Redis loses them: nobody takes them for free"),
    ],
  },
  {
    name: "waits for a claim of slices that is never answered",
    edit: yields("Number.POSITIVE_INFINITY"),
    caughtBy: [schedule("in which a store does not answer who opens a bucket, and answers when it is asked again")],
  },
];

/** Of who may go on with a slice, and for how long. */
const LEASE_MUTATIONS: readonly Mutation[] = [
  {
    name: "uses what was not granted",
    edit: change(/isClosed \? CLOSED : this\.pairs\.ceiling\(cell\)/, "Number.MAX_SAFE_INTEGER"),
    caughtBy: [
      exactFleet("%i of them use all of it and no more, %i, and are refused when hardly anything is left"),
      exactFleet(
        "do not pass it when some are killed, also between a reservation and its settlement, but by what Redis loses of the dead",
      ),
      exactFleet("use all of it and no more while the database is away, though Redis forgets everything meanwhile"),
      EXACT_FLEET_HANGS,
    ],
  },
  {
    name: "a lease never ends",
    edit: yields("false"),
    caughtBy: [
      exactSchedule("is not passed by who was silent for longer than a lease, and comes back when others have all"),
      exactSchedule("is not passed by who was frozen, and wakes when others have all"),
      exactSchedule("is not passed by who hears from Redis and cannot say what it has"),
      {
        file: "packages/counter-redis/test/exact.test.ts",
        title: "refuse what a hold gives back after a lease without an answer, however long it was open",
      },
      exactFleet(
        "pass it by what one of them used that was out of reach for longer than its lease, and only when Redis has lost what it knew of that: %s",
      ),
      EXACT_FLEET_HANGS,
    ],
  },
  {
    name: "a lease runs from the reply",
    edit: change(/sentAtMs/, "this.#parts.clock.elapsed()"),
    caughtBy: [exactSchedule("is not passed where the last reply is late: a lease runs from when it was asked for")],
  },
  {
    name: "suspends at once what was pushed before the bucket began anew",
    edit: drop,
    caughtBy: [exactSchedule("is used on by who has a slice where Redis is wiped, and can say so again")],
  },
  {
    name: "who was silent goes on though others have used what it had",
    edit: drop,
    caughtBy: [
      exactSchedule("is not passed by who was silent for longer than a lease, and comes back when others have all"),
    ],
  },
  {
    name: "who was silent goes on where others' slices may be missing",
    edit: drop,
    caughtBy: [
      exactSchedule(
        "is not passed by who was silent, and comes back to a Redis that was wiped once more, before others do",
      ),
    ],
  },
];

/** Of what is given back. */
const RETURN_MUTATIONS: readonly Mutation[] = [
  {
    name: "says that it gives back what it goes on using",
    edit: change(/this\.pairs\.returned\(cell\)/, "this.pairs.returned(cell) + Math.max(0, this.slack(cell))"),
    caughtBy: [exactSchedule("loses what a dead instance had, and what a living one does not use comes back")],
  },
  {
    name: "a limit that is lowered leaves slices as they are",
    edit: drop,
    caughtBy: [exactSchedule("that is lowered is not passed by who has a slice from before, cut off or not")],
  },
  {
    name: "whoever had more than a limit admits nothing any more",
    edit: change(/ else .*/s, ""),
    caughtBy: [
      exactSchedule("that is raised again is used up by all who were told"),
      {
        file: "apps/demo-proxy/test/exact-limits.test.ts",
        title:
          "take limits over that are changed by API under load: lowered, not passed from then on; raised, used to the last unit",
      },
    ],
  },
  {
    name: "keeps what it does not use",
    edit: change(/ \|\| demand\.isIdle\(nowMs\)/, ""),
    caughtBy: [exactSchedule("loses what a dead instance had, and what a living one does not use comes back")],
  },
  {
    name: "gives back nothing that others need",
    edit: drop,
    caughtBy: [exactSchedule("is shared with who has nothing by who goes on using a little of much")],
  },
  {
    name: "ends without giving back what it did not use",
    edit: drop,
    caughtBy: [exactSchedule("is there for others once somebody who had a slice has stopped in order")],
  },
];

export const EXACT_MUTATIONS: readonly Mutation[] = [
  ...GRANT_MUTATIONS,
  ...RIPENING_MUTATIONS,
  ...LEASE_MUTATIONS,
  ...RETURN_MUTATIONS,
];
