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
  const newTracker = () =>
    new UsageTracker(new LocalCounterBackend(["gpt"], { dimensions: DIMENSIONS }), {
      limits: { gpt: { tokens: 100 } },
    });

  it("is refused by one that was opened without them, and knows after a restart what it stored in one that has them", async () => {
    const open = await place();
    const tracker = newTracker();
    tracker.record("gpt", { tokens: 100 });
    const without = await open();
    await expect(tracker.refreshBaselines(without)).rejects.toThrow(StoreDimensionsError);
    await expect(tracker.flushUsage(without)).rejects.toThrow(
      'open it with the counter\'s dimensions, { dimensions: ["requests","tokens"] }',
    );
    await without.close();
    const store = await open(DIMENSIONS);
    expect(await tracker.flushUsage(store)).toMatchObject({ stored: 1 });
    const restarted = newTracker();
    await restarted.refreshBaselines(store);
    expect(restarted.withinLimits("gpt", { tokens: 1 })).toBe(false);
    await store.close();
  });
});
