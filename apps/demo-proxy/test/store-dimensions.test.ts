import { join } from "node:path";
import { LocalCounterBackend, type UsageStore } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { startPostgres } from "@usage/test-servers";
import { StoreDimensionsError, UsageTracker } from "@usage/tracker";
import { describe, expect, it, onTestFinished } from "vitest";
import { tempFolder } from "./support/temp-folder.ts";

type Dimension = "requests" | "tokens";
const DIMENSIONS: readonly Dimension[] = ["requests", "tokens"];

/** Opens a store as JavaScript does, where nobody says that a counter of other dimensions does not fit. */
type Open = (dimensions?: readonly string[]) => Promise<UsageStore<Dimension> & { close(): Promise<void> }>;

describe.each<[name: string, place: () => Promise<Open>]>([
  [
    "SQLite",
    async () => {
      const file = join(tempFolder(), "usage.db");
      const open = (dimensions?: readonly string[]) =>
        dimensions === undefined ? openSqliteStore(file) : openSqliteStore(file, { dimensions });
      return open as Open;
    },
  ],
  [
    "Postgres",
    async () => {
      const server = await startPostgres();
      onTestFinished(() => server.stop());
      const open = (dimensions?: readonly string[]) =>
        dimensions === undefined ? openPostgresStore(server.url) : openPostgresStore(server.url, { dimensions });
      return open as Open;
    },
  ],
])("a tracker with own dimensions on a store on %s", (_, place) => {
  const limits = { gpt: { tokens: 100 } };
  const newTracker = (store: UsageStore<Dimension>) =>
    new UsageTracker(new LocalCounterBackend(["gpt"], { dimensions: DIMENSIONS }), { store, limits });

  it("is refused by one that was opened without them, and knows after a restart what it stored in one that has them", async () => {
    const open = await place();
    const without = await open();
    const advice = 'open it with the counter\'s dimensions, { dimensions: ["requests","tokens"] }';
    expect(() => newTracker(without)).toThrow(StoreDimensionsError);
    expect(() => newTracker(without)).toThrow(advice);
    await without.close();
    const store = await open(DIMENSIONS);
    const tracker = newTracker(store);
    tracker.record("gpt", { tokens: 100 });
    expect(await tracker.flush()).toMatchObject({ stored: 1 });
    const restarted = newTracker(store);
    await restarted.refresh();
    expect(restarted.withinLimits("gpt", { tokens: 1 })).toBe(false);
    await store.close();
  });
});
