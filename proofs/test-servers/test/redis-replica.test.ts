import { startReplica } from "@usage/test-servers";
import { describe, expect, it, onTestFinished } from "vitest";
import { faultProxy, redis } from "./support/started.ts";

describe("startReplica", () => {
  it.each([undefined, 'a "quoted" secret'])("has its master's data, with the password %s", async (requirepass) => {
    const master = await redis(requirepass === undefined ? {} : { config: { requirepass } });
    await master.command("SET", "before", 1);
    const replica = await startReplica(master);
    onTestFinished(() => replica.stop());
    expect(await replica.command("GET", "before")).toBe("1");
    await master.command("SET", "later", 1);
    await expect.poll(() => replica.command("GET", "later"), { timeout: 30_000 }).toBe("1");
  });

  it("is promoted without the last writes, and clients of a proxy meet it in the master's place", async () => {
    const master = await redis();
    const replica = await startReplica(master);
    onTestFinished(() => replica.stop());
    const proxy = await faultProxy(master.port);
    await master.command("SET", "key", "seen");
    await replica.pauseReplication();
    await master.command("SET", "key", "lost");
    expect(await replica.command("GET", "key")).toBe("seen");
    await expect(replica.command("SET", "key", "new")).rejects.toThrow("READONLY");
    await master.kill();
    await replica.promote();
    proxy.connectTo(replica.port);
    expect(await replica.command("GET", "key")).toBe("seen");
    expect(await replica.command("SET", "key", "new")).toBe("OK");
  });

  it("catches up when replication goes on", async () => {
    const master = await redis();
    const replica = await startReplica(master);
    onTestFinished(() => replica.stop());
    await replica.pauseReplication();
    await master.command("SET", "key", "late");
    await replica.resumeReplication();
    expect(await replica.command("GET", "key")).toBe("late");
  });
});
