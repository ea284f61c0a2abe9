import { once } from "node:events";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";

/**
 * Arguments: the file or url, and the channel. Says "ready", and begins with the first byte of its input: others begin at once then.
 * Writes a line for each notice that it takes, until there are none (200 times at most).
 */
const [place = "", channel = ""] = process.argv.slice(2);

await using store = place.startsWith("postgres") ? await openPostgresStore(place) : await openSqliteStore(place);
console.log("ready");
await once(process.stdin, "data");
process.stdin.destroy();
for (let round = 0; round < 200; round++) {
  const taken = await store.notices?.(channel, { limit: 3, retryMs: { first: 600_000, max: 600_000 } });
  if (taken === undefined || taken.length === 0) break;
  for (const { mark } of taken) console.log(mark);
}
