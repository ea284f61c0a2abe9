// Usage from before: what another system counted becomes one row a backend and month, and limits hold from there on.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3
// node examples/import-usage.ts, as often as you like: the same numbers again change nothing, larger ones replace them
import { currentPeriod, LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { UsageTracker } from "@usage/tracker";

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

const tracker = new UsageTracker(new LocalCounterBackend(["oci", "b2"]), { limits: LIMITS });
await tracker.refreshBaselines(store);
for (const backend of ["oci", "b2"]) {
  let taken = 0;
  for (; tracker.withinLimits(backend, { apiRequests: 1, egressBytes: 1 }); taken++) {
    tracker.record(backend, { apiRequests: 1, egressBytes: 1 });
  }
  const { exceeded, usage } = tracker.check(backend, { apiRequests: 1, egressBytes: 1 });
  console.log(`${backend} took ${taken} more requests, of ${usage.apiRequests} in all; no more ${exceeded.join()}`);
}
await tracker.flushUsage(store);
await store.close();
