import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ReaperOptions, startReaper } from "../src/reaper.ts";

/** Says that it runs, and ends at no signal but SIGKILL, or in a minute. */
const STUBBORN = "trap '' QUIT TERM INT; echo running; for second in $(seq 60); do sleep 1; done";

describe("startReaper", () => {
  it.each<[ReaperOptions, string, NodeJS.Signals]>([
    [{}, "echo running; exec sleep 60", "SIGQUIT"],
    [{ signal: "KILL" }, STUBBORN, "SIGKILL"],
    [{}, STUBBORN, "SIGKILL"],
  ])("with the options %o ends `%s` by %s", async (options, script, signal) => {
    const folder = await mkdtemp(join(tmpdir(), "usage-reaped-"));
    const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"], detached: true });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    await once(child.stdout, "data");
    const exit = once(child, "exit");
    const reaper = startReaper({ ...options, folder });
    reaper.watch(child.pid === undefined ? undefined : -child.pid);
    await Promise.all([reaper.reap(), expect(exit).resolves.toEqual([null, signal])]);
    await expect(readdir(folder)).rejects.toThrow("ENOENT");
  });

  it("leaves alone what it was told of before", async () => {
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    const reaper = startReaper({ signal: "KILL" });
    reaper.watch(child.pid);
    reaper.watch(undefined);
    await reaper.reap();
    expect(child.exitCode ?? child.signalCode).toBeNull();
  });
});
