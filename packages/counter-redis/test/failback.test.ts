import { startReplica } from "@usage/test-servers";
import { describe, expect, it, onTestFinished } from "vitest";
import { counter, freshPrefix, patientClient } from "./support/counters.ts";
import { redisServer } from "./support/servers.ts";
import { countsKey, sharedSum } from "./support/shared.ts";

describe("when a server was another's replica for a while, and has what that one had", () => {
  it("all that was shared comes back, though nothing is counted any more", async () => {
    const master = await redisServer();
    const other = await startReplica(master);
    onTestFinished(() => other.stop());
    const redis = await patientClient(master.url);
    const prefix = freshPrefix();
    const one = await counter({ prefix, client: await patientClient(master.url) });
    const shared = (): Promise<number> => sharedSum(redis, countsKey(prefix, one.period().key, "oci"));

    one.add("oci", "apiRequests", 3);
    await expect.poll(shared).toBe(3);
    await other.pauseReplication();
    one.add("oci", "apiRequests", 4);
    await expect.poll(shared).toBe(7);
    await other.promote();
    // It is the same process afterwards, and the bucket bears the epoch that it had.
    await master.command("REPLICAOF", "127.0.0.1", other.port);
    await expect.poll(shared, { timeout: 20_000 }).toBe(3);
    await master.command("REPLICAOF", "NO", "ONE");
    await expect.poll(shared, { timeout: 20_000 }).toBe(7);
  });
});
