import { always, before, change, drop } from "./edits.ts";
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
const ONCE = "counts a tally once, however often it is merged";
const NOT_LOWERED = "is not lowered by a smaller, an empty or a zero tally";

export const STORE_MUTATIONS: readonly Mutation[] = [
  {
    name: "SQLite adds instead of keeping the maximum",
    edit: change(/= excluded\.amount/, "= usage_tallies.amount + excluded.amount"),
    caughtBy: [
      sqliteContract("takes the larger amount of each dimension by itself"),
      { file: "apps/demo-proxy/test/schedules.test.ts", title: "keep them on a real SQLite file" },
    ],
  },
  {
    name: "SQLite adds what it has already",
    edit: change(/= excluded\.amount.*usage_tallies\.amount/s, "= usage_tallies.amount + excluded.amount"),
    caughtBy: [sqliteContract(ONCE)],
  },
  {
    name: "SQLite keeps what came last",
    edit: change(/where excluded\.amount > [\w.]+/, ""),
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
    caughtBy: [fileGone("is whole again after processes that had it open have all noticed")],
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
    name: "Postgres adds up what one merge has twice",
    edit: change(/max\(/, "sum("),
    caughtBy: [postgresContract("takes the larger when one merge has the same tally twice")],
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
];
