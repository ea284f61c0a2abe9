// Usage from before: what another system counted becomes one row a backend and month, and limits hold from there on.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3
// node examples/import-usage.ts, as often as you like: the same numbers again change nothing, larger ones replace them
import { currentPeriod, LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";

const LIMITS = { oci: { apiRequests: 50_000 }, b2: { apiRequests: 2_500, egressBytes: 2 ** 30 } };
const USED = {
  oci: { apiRequests: 49_990, egressBytes: 7_516_192_768 },
  b2: { apiRequests: 120, egressBytes: 2 ** 30 },
};

const store = await openSqliteStore("usage.db");
const period = currentPeriod(); // past months as well, if you have them: they appear in the history
const rejected = await store.merge(
  Object.entries(USED).map(([backend, usage]) => ({ writer: "import", period, backend, usage })),
);
if (rejected.length > 0) throw new AggregateError(rejected.map(({ reason }) => reason));

const usage = await openUsage({ counter: new LocalCounterBackend(), store, limits: LIMITS });
await usage.ensure(["oci", "b2"]);
const request = { apiRequests: 1, egressBytes: 1 };
for (const backend of ["oci", "b2"]) {
  let taken = 0;
  while (usage.tryRecord(backend, request)) taken++;
  const { exceeded, usage: used } = usage.check(backend, request);
  console.log(`${backend} took ${taken} more requests, of ${used.apiRequests} in all; no more ${exceeded.join()}`);
}
await usage.close();
await store.close();
