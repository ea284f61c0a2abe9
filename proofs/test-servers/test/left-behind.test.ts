import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { accepts } from "./support/accepts.ts";

describe.each([
  { kind: "postgres", folders: 1 },
  { kind: "redis", folders: 1 },
  { kind: "paused redis", folders: 1 },
  { kind: "instance", folders: 0 },
  { kind: "paused instance", folders: 0 },
  { kind: "hanging instance", folders: 0 },
])("$kind", ({ kind, folders }) => {
  it.each(["SIGINT", "SIGKILL"] as const)(
    "ends, and its data is deleted, when the process that started it ends by %s",
    async (signal) => {
      const folder = await mkdtemp(join(tmpdir(), "usage-held-"));
      await chmod(folder, 0o755);
      const child = spawn(process.execPath, [fileURLToPath(new URL("support/hold.ts", import.meta.url)), kind], {
        env: { ...process.env, TMPDIR: folder },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const url = await firstLine(child);
      expect(await accepts(url)).toBe(true);
      expect(await readdir(folder)).toHaveLength(folders);
      child.kill(signal);
      await once(child, "exit");
      await expect.poll(() => accepts(url), { timeout: 30_000 }).toBe(false);
      await expect.poll(() => readdir(folder), { timeout: 30_000 }).toEqual([]);
      await rm(folder, { recursive: true });
    },
  );
});

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("the process has no output");
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error("the process wrote nothing");
}
