import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { startPostgres } from "@usage/test-servers";
import { describe, expect, it } from "vitest";

describe("startPostgres", { timeout: 120_000 }, () => {
  it("starts a server that can be killed, started again on the same port, and stopped", async () => {
    const server = await startPostgres();
    expect(server.version).toMatch(/^postgres \(PostgreSQL\) \d+/);
    expect(await answers(server.url)).toBe(true);
    await server.kill();
    expect(await answers(server.url)).toBe(false);
    await server.start();
    expect(await answers(server.url)).toBe(true);
    await server.stop();
    await server.stop();
    expect(await answers(server.url)).toBe(false);
  });

  it.each(["SIGINT", "SIGKILL"] as const)(
    "ends the server and deletes its data when its process ends by %s",
    async (signal) => {
      const folder = await mkdtemp(join(tmpdir(), "usage-held-"));
      await chmod(folder, 0o755);
      const child = spawn(process.execPath, [fileURLToPath(new URL("hold-postgres.ts", import.meta.url))], {
        env: { ...process.env, TMPDIR: folder },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const url = await firstLine(child);
      expect(await answers(url)).toBe(true);
      expect(await readdir(folder)).toHaveLength(1);
      child.kill(signal);
      await once(child, "exit");
      await expect.poll(() => answers(url), { timeout: 30_000 }).toBe(false);
      await expect.poll(() => readdir(folder), { timeout: 30_000 }).toEqual([]);
      await rm(folder, { recursive: true });
    },
  );
});

async function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("the process has no output");
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error("the process wrote nothing");
}
