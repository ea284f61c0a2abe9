import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";

/**
 * Arguments: the file or url, a period, and a writer, who counts one request after the other and stores each. Writes a line for each
 * amount that the store has taken; ends once one is refused.
 */
const [place = "", period = "", writer = ""] = process.argv.slice(2);

await using store = place.startsWith("postgres") ? await openPostgresStore(place) : await openSqliteStore(place);
for (let amount = 1; ; amount++) {
  const [rejected] = await store.merge([{ writer, period, backend: "oci", usage: { apiRequests: amount } }]);
  if (rejected !== undefined) {
    console.log(rejected.reason.name);
    break;
  }
  console.log(amount);
}
