import { setTimeout as sleep } from "node:timers/promises";
import {
  type FaultProxy,
  type RedisServer,
  type RedisSnapshot,
  startFaultProxy,
  startRedis,
} from "@usage/test-servers";

const CONFIG = { appendonly: "yes", appendfsync: "everysec" };
const TIMEOUT_MS = 30_000;

/** A Redis and its replica, which change roles by a failover, behind a proxy that leads to whichever is the master. */
export class RedisPair {
  readonly proxy: FaultProxy;
  #master: RedisServer;
  #replica: RedisServer;
  #snapshot: RedisSnapshot;

  private constructor(master: RedisServer, replica: RedisServer, proxy: FaultProxy, snapshot: RedisSnapshot) {
    this.#master = master;
    this.#replica = replica;
    this.proxy = proxy;
    this.#snapshot = snapshot;
  }

  static async start(): Promise<RedisPair> {
    const [master, replica] = await Promise.all([startRedis({ config: CONFIG }), startRedis({ config: CONFIG })]);
    const proxy = await startFaultProxy({ port: master.port });
    const pair = new RedisPair(master, replica, proxy, await master.snapshot());
    await pair.#replicate();
    await pair.settled();
    return pair;
  }

  get master(): RedisServer {
    return this.#master;
  }

  /** By way of the proxy. */
  get url(): string {
    return this.proxy.url(this.#master.url);
  }

  /** What `restore` brings back. */
  async takeSnapshot(): Promise<void> {
    this.#snapshot = await this.#master.snapshot();
  }

  async restore(): Promise<void> {
    await this.#master.startFrom(this.#snapshot);
  }

  /** The replica gets nothing more, as on a link that is down. */
  async cutReplication(): Promise<void> {
    await this.#replica.command("REPLICAOF", "NO", "ONE");
  }

  /** The replica is the master from now on, with what it has, and the old master follows it. */
  async failOver(): Promise<void> {
    await this.cutReplication();
    [this.#master, this.#replica] = [this.#replica, this.#master];
    this.proxy.connectTo(this.#master.port);
    await this.#replicate();
  }

  /** Ends what the proxy does, and waits until the replica follows the master and both have on disk what they hold. */
  async settled(): Promise<void> {
    await this.proxy.heal();
    for (const deadline = Date.now() + TIMEOUT_MS; !(await this.#isSettled()); await sleep(50)) {
      if (Date.now() > deadline) throw new Error(`the replica does not follow the master within ${TIMEOUT_MS} ms`);
    }
  }

  async stop(): Promise<void> {
    await this.proxy.close();
    await Promise.all([this.#master.stop(), this.#replica.stop()]);
  }

  async #replicate(): Promise<void> {
    await this.#replica.command("REPLICAOF", "127.0.0.1", this.#master.port);
  }

  async #isSettled(): Promise<boolean> {
    const [replication, ...persistence] = (
      await Promise.all([
        this.#replica.command("INFO", "replication"),
        this.#master.command("INFO", "persistence"),
        this.#replica.command("INFO", "persistence"),
      ])
    ).map(String) as [string, string, string];
    // A server that has just followed another one has an append-only file of what it held before until it is written anew.
    const isWritten = persistence.every(
      (info) => info.includes("aof_rewrite_in_progress:0") && info.includes("aof_rewrite_scheduled:0"),
    );
    return isWritten && replication.includes("role:slave") && replication.includes("master_link_status:up");
  }
}
