import { join } from "node:path";
import { currentPeriod, type PeriodUsage } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";

type Amounts = Readonly<Record<string, number>>;

/** Usage of this month from before the example starts, by backend. */
export async function storeBefore(folder: string, used: Readonly<Record<string, Amounts>>): Promise<void> {
  await using store = await openSqliteStore(join(folder, "usage.db"));
  const period = currentPeriod();
  await store.merge(Object.entries(used).map(([backend, usage]) => ({ writer: "before", period, backend, usage })));
}

/** What an example has left in its database, over all writers. */
export async function storedIn(folder: string): Promise<readonly PeriodUsage[]> {
  await using store = await openSqliteStore(join(folder, "usage.db"));
  return await store.history({}); // awaited before the store closes
}
