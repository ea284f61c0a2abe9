import { mkdirSync, rmSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalCounterBackend, PeriodFoldedError, STORAGE_DIMENSIONS } from "@usage/counter-core";
import { usageStoreContract } from "@usage/counter-core/testing";
import { openUsage } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { openJsonFileStore } from "../json-file-store.ts";
import { tempFolder } from "./support/temp-folder.ts";

usageStoreContract("json-file-store.ts", {
  create: async () => {
    const folder = await mkdtemp(join(tmpdir(), "usage-examples-"));
    const reopen = () => openJsonFileStore(join(folder, "usage.json"), STORAGE_DIMENSIONS);
    return { store: await reopen(), reopen, dispose: () => rm(folder, { recursive: true }) };
  },
});

describe("json-file-store.ts", () => {
  it("keeps what a tracker flushes, in dimensions of its own, and the limits of the next run hold", async () => {
    const file = join(tempFolder(), "usage.json");
    const dimensions = ["requests", "tokens"] as const;
    const limits = { llm: { tokens: 100 } };
    for (const taken of [60, 30]) {
      const store = await openJsonFileStore(file, dimensions);
      const usage = await openUsage({ counter: new LocalCounterBackend(["llm"], { dimensions }), store, limits });
      usage.record("llm", { requests: 1, tokens: taken });
      await usage.close();
      expect(usage.withinLimits("llm", { tokens: 11 })).toBe(taken === 60);
    }
    const written = JSON.parse(await readFile(file, "utf8"));
    expect(written).toMatchObject([{ usage: { requests: 1, tokens: 60 } }, { usage: { requests: 1, tokens: 30 } }]);
  });

  it("rejects when the file cannot be written; then nothing of the merge is seen, and the next one works", async () => {
    const folder = join(tempFolder(), "gone");
    mkdirSync(folder);
    const store = await openJsonFileStore(join(folder, "usage.json"), STORAGE_DIMENSIONS);
    const tally = { writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 1 } };
    rmSync(folder, { recursive: true });
    await expect(store.merge([tally])).rejects.toThrow("ENOENT");
    expect(await store.history({})).toEqual([]);
    mkdirSync(folder);
    expect(await store.merge([tally])).toEqual([]);
    expect(await store.history({})).toMatchObject([{ backend: "oci", usage: { apiRequests: 1 } }]);
  });

  it("folds what is long over into one row for each backend, and takes nothing of it any more", async () => {
    const store = await openJsonFileStore(join(tempFolder(), "usage.json"), STORAGE_DIMENSIONS);
    const tally = (writer: string, period: string) => ({ writer, period, backend: "oci", usage: { apiRequests: 2 } });
    await store.merge([tally("v", "2025-01"), tally("w", "2025-01"), tally("w", "2025-02")]);
    expect(await store.fold("2025-02")).toEqual(["2025-01"]);
    expect(await store.fold("2025-02")).toEqual([]);
    expect(await store.tallies("2025-01", ["oci"])).toMatchObject([{ usage: { apiRequests: 4 } }]);
    const [late] = await store.merge([tally("v", "2025-01"), tally("v", "2025-02")]);
    expect(late?.reason).toBeInstanceOf(PeriodFoldedError);
    expect(await store.history({})).toMatchObject([{ usage: { apiRequests: 4 } }, { usage: { apiRequests: 4 } }]);
  });

  it("does not open a file that holds something else", async () => {
    await expect(openJsonFileStore(tempFolder(), STORAGE_DIMENSIONS)).rejects.toThrow("EISDIR");
  });
});
