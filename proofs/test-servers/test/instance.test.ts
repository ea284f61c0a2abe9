import { setTimeout as sleep } from "node:timers/promises";
import { type Instance, type InstanceOptions, startInstance } from "@usage/test-servers";
import { describe, expect, it, onTestFinished } from "vitest";
import { accepts } from "./support/accepts.ts";

async function instance(options?: InstanceOptions): Promise<{ readonly running: Instance; readonly url: string }> {
  const running = startInstance(new URL("support/instance.ts", import.meta.url), options);
  onTestFinished(async () => {
    await running.kill();
  });
  return { running, url: String(await running.next()) };
}

describe("startInstance", () => {
  it("runs a file from the sources, with its arguments and environment", async () => {
    const { running } = await instance({ args: ["one", "two"], env: { INSTANCE_NAME: "first" } });
    expect(await running.ask("args")).toEqual([["one", "two"], "first", ["--conditions=@usage/source"]]);
  });

  it("takes and gives messages in order, whatever can be cloned", async () => {
    const { running } = await instance();
    const messages = [{ usage: new Map([["oci", 2n ** 60n]]), none: null }, new Float64Array([1, Number.NaN]), "last"];
    for (const message of messages) await running.send(message);
    for (const message of messages) expect(await running.next()).toEqual(message);
  });

  it("is killed, and says so to those who wait", async () => {
    const { running, url } = await instance();
    const waiting = expect(running.next()).rejects.toThrow("ended by SIGKILL");
    expect(await running.kill()).toEqual({ code: null, signal: "SIGKILL" });
    expect(await running.exited).toEqual({ code: null, signal: "SIGKILL" });
    await waiting;
    expect(await accepts(url)).toBe(false);
    expect(await running.kill("SIGTERM")).toEqual({ code: null, signal: "SIGKILL" });
    await expect(running.send("anything")).rejects.toThrow();
    expect(() => running.pause()).toThrow("has ended");
  });

  it("ends by itself, and what it sent last still arrives", async () => {
    const { running } = await instance();
    expect(await running.kill("SIGTERM")).toEqual({ code: 7, signal: null });
    expect(await running.next()).toBe("going");
    await expect(running.next()).rejects.toThrow("ended by code 7");
  });

  it("shows what it wrote when it fails", async () => {
    const { running } = await instance();
    await expect(running.ask("throw")).rejects.toThrow("told to throw");
    expect(await running.exited).toEqual({ code: 1, signal: null });
    expect(running.output()).toContain("told to throw");
  });

  it("does nothing while it is paused, and everything afterwards", async () => {
    const { running } = await instance();
    running.pause();
    const reply = running.ask("hello");
    expect(await Promise.race([reply, sleep(300, "nothing")])).toBe("nothing");
    running.resume();
    expect(await reply).toBe("hello");
  });

  it("is killed while it is paused", async () => {
    const { running } = await instance();
    running.pause();
    expect(await running.kill()).toEqual({ code: null, signal: "SIGKILL" });
  });
});
