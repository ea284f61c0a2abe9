import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { sqliteUsageStore } from "@usage/store-drizzle/sqlite";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { datedMerges } from "./dated-merges.ts";

/** Arguments: a file or the address of a Postgres, whose merges these are, and before which of their statements it is killed. */
const [place = "", seed = "1", last = "1"] = process.argv.slice(2);
const die = (): void => void process.kill(process.pid, "SIGKILL");

let statements = -1;
const isSqlite = !place.startsWith("postgres:");
// It is called before each statement.
const verbose = (): void => {
  if (statements >= 0 && ++statements > Number(last)) die();
};
const store = isSqlite
  ? sqliteUsageStore(drizzle(new Database(place, { verbose, timeout: 5_000 })), { timeline: true })
  : await openPostgresStore(place, { timeline: true });
statements = 0;
for (const { tallies, at } of datedMerges(Number(seed))) {
  // What is under way on a server goes on without who has sent it.
  if (!isSqlite && ++statements > Number(last)) setTimeout(die, Number(seed) % 4);
  await store.merge(tallies, { at });
}
