import type { Mark } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";

/** Arguments: the file or url, how many marks, and at which of them to begin. Writes a line for each that was new. */
const [place = "", count = "0", first = "0"] = process.argv.slice(2);

await using store = place.startsWith("postgres") ? await openPostgresStore(place) : await openSqliteStore(place);
for (let index = 0; index < Number(count); index++) {
  const mark: Mark = { period: "2026-01", backend: "oci", mark: `${(Number(first) + index) % Number(count)}` };
  const claimed = await store.claim?.([mark]);
  for (const { mark } of claimed ?? []) console.log(mark);
}
