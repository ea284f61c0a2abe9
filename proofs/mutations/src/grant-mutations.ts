import { change, drop, instead, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const grants = (title: string): NamedTest => ({ file: "packages/tracker/test/grants/grants.test.ts", title });
const contract = (title: string): NamedTest => ({
  file: "packages/counter-core/test/local-counter-backend.contract.test.ts",
  title,
});
const stored = (dialect: "sqlite" | "postgres", title: string): NamedTest => ({
  file: `packages/store-drizzle/test/${dialect}-contract.test.ts`,
  title,
});
const memory = (title: string): NamedTest => ({ file: "packages/counter-core/test/store-contract.test.ts", title });
const shared = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/admin/api/grants-fleet.test.ts", title });
const ONCE = "stores a grant once, with its trail, also where the reply was lost, or the store is opened again";
const ONE_OF_MANY = "takes one of many that grant under the same id at once, and tells all others which";
const AGAIN = "onConflictDoUpdate({ target: [grants.backend, grants.period, grants.id], set: { reason: row.reason } })";

/** What was granted, and for which period. */
export const GRANT_MUTATIONS: readonly Mutation[] = [
  {
    name: "a month begins with what was granted for the one before",
    edit: change(/this\.#baseLimit\(cell\)/, "this.limit(cell)"),
    caughtBy: [
      {
        file: "proofs/chaos/test/grants.test.ts",
        title:
          "use all of it and what was granted, and no more, and the next month begins without it, while Redis forgets and the database fails",
      },
      contract("of one period: the next one begins without it, at its first request"),
      grants("is not part of the next one, which has its own; the limits of the one before can be read"),
    ],
  },
  {
    name: "threads hear nothing of what was granted",
    edit: drop,
    caughtBy: [
      {
        file: "packages/counter-core/test/thread-limits.test.ts",
        title: "have what was granted in them, for the threads, too, until the month ends",
      },
    ],
  },
  {
    name: "the store in memory grants again what it has granted",
    edit: never,
    caughtBy: [memory(ONCE), memory(ONE_OF_MANY)],
  },
  {
    name: "SQLite grants again what it has granted",
    edit: change(/onConflictDoNothing\(\)/, AGAIN),
    caughtBy: [stored("sqlite", ONCE)],
  },
  {
    name: "Postgres grants again what it has granted",
    edit: change(/onConflictDoNothing\(\)/, AGAIN),
    caughtBy: [
      stored("postgres", ONCE),
      stored("postgres", ONE_OF_MANY),
      shared("is made once by proxies that are asked at once, and with exact limits all of it is used and no more"),
    ],
  },
  {
    name: "removes a backend and keeps its grants",
    edit: drop,
    caughtBy: [
      stored(
        "sqlite",
        "removes a backend's grants with it, in every period, and no other; they are no usage, and stay where it is folded",
      ),
    ],
  },
  {
    name: "takes other amounts under the same id for the same grant",
    edit: never,
    caughtBy: [grants("is given once under its id, however often, and refused where the id is that of other amounts")],
  },
  {
    name: "does not learn what others have granted",
    edit: drop,
    caughtBy: [
      grants("is learnt with the next refresh, and with the next flush"),
      shared("is learnt by a proxy that nobody asked with its next flush"),
    ],
  },
  {
    name: "does not store again what the store has lost of grants",
    edit: drop,
    caughtBy: [grants("is stored again where the store has lost it, and its backend is held")],
  },
  {
    name: "takes a grant back that was made while grants were read",
    edit: instead("if (there.has(key)) continue;"),
    caughtBy: [grants("stays where it was granted while all grants were read")],
  },
  {
    name: "tells who waits for the next period that it has what was granted for this one",
    edit: yields("exceeded.some((dimension) => limitOf(dimension) === 0)"),
    caughtBy: [grants("of a limit of 0 tells nobody to wait for the next period, which begins without it")],
  },
];
