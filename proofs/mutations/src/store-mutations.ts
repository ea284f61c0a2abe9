import { always, before, change, drop, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { FLEET_FREEZE, SIMULATION } from "./named-tests.ts";

const sqliteContract = (title: string): NamedTest => ({
  file: "packages/store-drizzle/test/sqlite-contract.test.ts",
  title,
});
const postgresContract = (title: string): NamedTest => ({
  file: "packages/store-drizzle/test/postgres-contract.test.ts",
  title,
});
const fileGone = (title: string): NamedTest => ({
  file: "packages/store-drizzle/test/sqlite-file-gone.test.ts",
  title,
});
const proxyFileGone = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/store-file-gone.test.ts", title });
const failover = (title: string): NamedTest => ({
  file: "packages/store-drizzle/test/postgres-failover.test.ts",
  title,
});
const changes = (title: string): NamedTest => ({ file: "packages/store-drizzle/test/changes.test.ts", title });
const fold = (title: string): NamedTest => ({ file: "packages/store-drizzle/test/fold.test.ts", title });
const marks = (title: string): NamedTest => ({ file: "packages/store-drizzle/test/marks.test.ts", title });
const memory = (title: string): NamedTest => ({ file: "packages/counter-core/test/store-contract.test.ts", title });
const LATE = "rejects all that comes late of a folded period, with a reason, and stores the others of that merge";
const FOLDING = "has all that was taken in the sums, and refuses the rest";
const DATED = "adds what is new of a tally to the hour of the merge, and nothing where it is merged again";
const AT_THE_EDGES =
  "takes what comes after the period for used in its last hour, and what comes before it for its first";
const OLD_HOURS = "makes old hours one with their day, deletes old days, and takes nothing from any other sum";
const KILLED: NamedTest = {
  file: "packages/store-drizzle/test/timeline-kills.test.ts",
  title:
    "add up to their month when processes are killed in the middle of merges, and when others merge the same again",
};
const ONCE = "counts a tally once, however often it is merged";
const NEW_ONCE = "tells a mark as new once, also where the reply was lost, or the store is opened again";
const CLAIMING = "are told of each that it is new once, by which nobody is told again after a crash";
const NOT_LOWERED = "is not lowered by a smaller, an empty or a zero tally";

export const STORE_MUTATIONS: readonly Mutation[] = [
  {
    name: "SQLite dates all of an amount, and not by how much it grew",
    edit: change(/value ->> 2 - coalesce\(stored\.amount, 0\)/, "value ->> 2"),
    caughtBy: [sqliteContract(DATED), KILLED],
  },
  {
    name: "Postgres dates all of an amount, and not by how much it grew",
    edit: change(/excluded\.amount - stored\.amount/, "excluded.amount"),
    caughtBy: [postgresContract(DATED), KILLED],
  },
  {
    name: "SQLite dates usage in another transaction than that in which it stores it",
    edit: change(/db\.transaction\(write, .*\)/, "write()"),
    caughtBy: [KILLED],
  },
  {
    name: "SQLite dates usage outside of its period",
    edit: change(/Math\.max\(first, Math\.min\((.*), last\)\)/, "$1"),
    caughtBy: [sqliteContract(AT_THE_EDGES)],
  },
  {
    name: "Postgres dates usage outside of its period",
    edit: change(/greatest\(asked\.first, least\((.*), asked\.last\)\)/, "$1"),
    caughtBy: [postgresContract(AT_THE_EDGES)],
  },
  {
    name: "SQLite deletes old hours without adding them to their day",
    edit: drop,
    caughtBy: [sqliteContract(OLD_HOURS)],
  },
  {
    name: "Postgres takes the last hour of a day for all of it",
    edit: change(/known\.amount \+ excluded\.amount/, "excluded.amount"),
    caughtBy: [postgresContract(OLD_HOURS)],
  },
  {
    name: "SQLite removes a backend and keeps its timeline",
    edit: drop,
    caughtBy: [sqliteContract("adds up where periods are folded, tallies rejected, and backends removed")],
  },
  {
    name: "SQLite adds instead of keeping the maximum",
    edit: change(/sql`excluded\.amount`/, "sql`amount + excluded.amount`"),
    caughtBy: [
      sqliteContract("takes the larger amount of each dimension by itself"),
      { file: "apps/demo-proxy/test/schedules.test.ts", title: "keep them on a real SQLite file" },
    ],
  },
  {
    name: "SQLite adds what it has already",
    edit: change(/sql`excluded\.amount`(.*)setWhere: .*?`,/s, "sql`amount + excluded.amount`$1"),
    caughtBy: [sqliteContract(ONCE)],
  },
  {
    name: "SQLite keeps what came last",
    edit: change(/setWhere: .*?`,/, ""),
    caughtBy: [
      sqliteContract(NOT_LOWERED),
      {
        file: "packages/store-drizzle/test/laws.test.ts",
        title:
          "keeps the maximum of each key, whatever the order, the chunks and the repetitions, and sums over writers",
      },
    ],
  },
  {
    name: "SQLite takes a full disk for success",
    edit: before('if (code === "SQLITE_FULL") return undefined as never;'),
    caughtBy: [
      {
        file: "packages/store-drizzle/test/sqlite-failures.test.ts",
        title: "says that the disk is full, and stores everything exactly once after room was made",
      },
    ],
  },
  {
    name: "SQLite gives up at once on a locked database",
    edit: always,
    caughtBy: [
      {
        file: "packages/store-drizzle/test/sqlite-processes.test.ts",
        title: "merge at once, while another one holds the write lock for two seconds, and all is stored",
      },
    ],
  },
  {
    name: "SQLite goes on in a file that was deleted",
    edit: always,
    caughtBy: [
      fileGone("merges into a new one when it is %s, and says that it has lost what it had"),
      proxyFileGone("stores all that it counted in a new one, says so, and ends well"),
    ],
  },
  {
    name: "SQLite trusts a file that was deleted meanwhile",
    edit: always,
    caughtBy: [fileGone("merges all of it into the new file when it is deleted in the middle of a merge")],
  },
  {
    name: "SQLite leaves the log of a deleted file to the next one",
    edit: drop,
    caughtBy: [
      fileGone("adds nothing of the old file's log to what was put in its place, while somebody still reads that"),
    ],
  },
  {
    name: "SQLite sums over the asking writer only",
    edit: change(/"all"/, '"own"'),
    caughtBy: [
      { file: "apps/demo-proxy/test/compose.test.ts", title: "see each other's usage after a flush" },
      { file: "apps/demo-proxy/test/main.test.ts", title: "see each other's usage after a flush, and store the sum" },
    ],
  },
  {
    name: "sends the same tally twice in one chunk",
    edit: yields("false"),
    caughtBy: [postgresContract("takes the larger when one merge has the same tally twice")],
  },
  {
    name: "SQLite takes for a writer's own what it merged of others",
    edit: yields("own !== undefined"),
    caughtBy: [changes("is all but its own, on SQLite")],
  },
  {
    name: "Postgres takes for a writer's own what it merged of others",
    edit: change(/\$\{writer\} = \$\{own\} and /, ""),
    caughtBy: [changes("is all but its own, on Postgres")],
  },
  {
    name: "takes what others wrote between two merges for the writer's own",
    edit: yields("last !== undefined"),
    caughtBy: [changes("is all but its own, on SQLite")],
  },
  {
    name: "takes what others write at the times of removed rows for the writer's own",
    edit: change(/!this\.#spans\.every\(isLeft\)/, "false"),
    caughtBy: [changes("is also what is written at times of its own that are removed, on SQLite")],
  },
  {
    name: "Postgres adds instead of keeping the maximum",
    edit: change(/= excluded\.amount/, "= stored.amount + excluded.amount"),
    caughtBy: [postgresContract("takes the larger amount of each dimension by itself"), FLEET_FREEZE],
  },
  {
    name: "Postgres's failed chunks are taken for stored",
    edit: change(/;$/, ".catch(() => {});"),
    caughtBy: [
      {
        file: "packages/store-drizzle/test/postgres-failures.test.ts",
        title: "stores everything after its connections were cut in the middle of a merge",
      },
    ],
  },
  {
    name: "Postgres's connections stay with a server that fails",
    edit: drop,
    caughtBy: [
      failover("stores on the new primary at the second attempt, while the old one is read-only and can be reached"),
      failover("stores on the new primary at the second attempt, while the old one answers %s"),
      failover("stores on the new primary at the second attempt, while the old one is silent"),
      {
        file: "apps/demo-proxy/test/compose-postgres.test.ts",
        title: "stores all that it counted on the new primary at the second flush, while the old one is read-only",
      },
    ],
  },
  {
    name: "takes the first of several hosts, though it is read-only",
    edit: always,
    caughtBy: [failover("goes to the first that can be written to, and to the other when that changes")],
  },
  {
    name: "Postgres's search for a server goes on once the store is closed",
    edit: never,
    caughtBy: [failover("searches no further for one that can be written to once it is closed")],
  },
  {
    name: "Postgres writes rows in no order",
    edit: change(/order by .*/, "order by random()"),
    caughtBy: [
      {
        file: "packages/store-drizzle/test/postgres-failures.test.ts",
        title: "cannot deadlock with another instance that writes the same rows in another order",
      },
    ],
  },
  {
    name: "the model of a store adds instead of keeping the maximum",
    edit: change(/Math\.max\((\w+), (\w+\(.*?\))\)/, "$1 + $2"),
    caughtBy: [SIMULATION],
  },
  {
    name: "SQLite touches what did not grow",
    edit: change(/ > /, " >= "),
    caughtBy: [changes("is what changed, and nothing else but what changed in the same millisecond")],
  },
  {
    name: "Postgres touches what did not grow",
    edit: change(/and sent\.amount > coalesce\(.*?, -1\)(.*)where excluded\.amount > stored\.amount/s, "$1"),
    caughtBy: [changes("is what changed, and what had changed in the last minute")],
  },
  {
    name: "SQLite's times follow a clock that steps back",
    edit: change(/Math\.max\(clock, last \+ 1\)/, "clock"),
    caughtBy: [changes("is told though the clock stepped back by an hour")],
  },
  {
    name: "Postgres's times follow a clock that steps back",
    edit: change(/greatest\(clock_timestamp\(\), max\(times\.last\)\)/, "clock_timestamp()"),
    caughtBy: [changes("is told though the clock stepped back by an hour, or another primary's is behind")],
  },
  {
    name: "Postgres looks no further back than the last change it has seen",
    edit: change(/ - overlapMs \* 1_000/, ""),
    caughtBy: [changes("is told of a merge that was under way when the answer with the cursor was read")],
  },
  {
    name: "gives a cursor of after the read",
    edit: change(/period, at,/, "period, (await table.position(period)).at,"),
    caughtBy: [changes("is told of what was merged while the answer with the cursor was read")],
  },
  {
    name: "trusts a cursor from a clock that was ahead",
    edit: yields("known"),
    caughtBy: [changes("is everything where the cursor is of a clock that was ahead, as before it stepped back")],
  },
  {
    name: "trusts a cursor of another period",
    edit: yields("Number.isSafeInteger(position) ? position : undefined"),
    caughtBy: [memory("leaves nothing out for a cursor of another period or of another store, or for what is none")],
  },
  {
    name: "SQLite stores what is late of a folded period",
    edit: yields("sql`true`"),
    caughtBy: [sqliteContract(LATE)],
  },
  {
    name: "Postgres stores what is late of a folded period",
    edit: yields("sql`true`"),
    caughtBy: [postgresContract(LATE)],
  },
  {
    name: "says that it stored what is late of a folded period",
    edit: yields("chunk.slice(0, 0)"),
    caughtBy: [sqliteContract(LATE)],
  },
  {
    name: "folds without closing the period",
    edit: drop,
    caughtBy: [sqliteContract(LATE), fold("goes on where it broke off, and merges meanwhile are refused")],
  },
  {
    name: "Postgres folds while a merge is under way",
    edit: change(/lock table .*? mode;/, ""),
    caughtBy: [fold("waits for a merge that is under way, and has not seen that the period is closed")],
  },
  {
    name: "folds where merges do not see it",
    edit: never,
    caughtBy: [fold("does not run where merges would not see it: at another isolation than read committed")],
  },
  {
    name: "SQLite folds and keeps what it folded",
    edit: drop,
    caughtBy: [sqliteContract("folds thousands of backends and writers"), fold(FOLDING)],
  },
  {
    name: "folds what may still be counted in",
    edit: never,
    caughtBy: [memory("refuses what may still be counted in, and what is no date")],
  },
  {
    name: "folds periods that are not over for long",
    edit: yields("true"),
    caughtBy: [
      memory(
        "leaves periods open that are not over for 40 days, though they began before, and those that have no date",
      ),
    ],
  },
  {
    name: "SQLite tells a mark as new that somebody has claimed",
    edit: change(
      /onConflictDoNothing\(\)/,
      "onConflictDoUpdate({ target: [marks.backend, marks.period, marks.dimension, marks.mark], set: { createdAt: new Date() } })",
    ),
    caughtBy: [sqliteContract(NEW_ONCE), marks(CLAIMING)],
  },
  {
    name: "Postgres tells a mark as new that somebody has claimed",
    edit: change(
      /onConflictDoNothing\(\)/,
      "onConflictDoUpdate({ target: [marks.backend, marks.period, marks.dimension, marks.mark], set: { createdAt: new Date() } })",
    ),
    caughtBy: [
      postgresContract(NEW_ONCE),
      marks(CLAIMING),
      marks("are not new where the reply was lost, however often they are claimed again"),
    ],
  },
  {
    name: "Postgres claims marks in the order in which they are given",
    edit: change(/\.sort\(.*\)/, ""),
    caughtBy: [marks("cannot deadlock with another instance that claims the same marks in another order")],
  },
  {
    name: "removes a backend and keeps its marks",
    edit: drop,
    caughtBy: [sqliteContract("removes a backend's marks with it, in every period, and no other")],
  },
  {
    name: "the store in memory tells a mark as new that somebody has claimed",
    edit: never,
    caughtBy: [memory(NEW_ONCE)],
  },
  {
    name: "tables of all prefixes are the same",
    edit: yields("text"),
    caughtBy: [{ file: "packages/store-drizzle/test/prefix.test.ts", title: "know nothing of each other" }],
  },
];
