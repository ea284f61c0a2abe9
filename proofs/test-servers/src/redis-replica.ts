import { type RedisOptions, type RedisServer, startRedis } from "./redis.ts";
import { redisInfo } from "./redis-command.ts";
import { until } from "./until.ts";

/** A port that nothing listens on: whoever replicates from there has its data, and gets no more. */
const NOBODY = 1;

export interface RedisReplica extends RedisServer {
  /** It has what was written to its master so far, and gets nothing of what is written from now on. */
  pauseReplication(): Promise<void>;
  /** It catches up with its master again. */
  resumeReplication(): Promise<void>;
  /** It is a master now, with what it has, as after a failover. */
  promote(): Promise<void>;
}

/** Starts a replica of `master`, which has all of its data. */
export async function startReplica(master: RedisServer, options: RedisOptions = {}): Promise<RedisReplica> {
  const { password } = new URL(master.url);
  const secret = password === "" ? {} : { masterauth: decodeURIComponent(password) };
  const replicaof = `127.0.0.1 ${master.port}`;
  const server = await startRedis({ ...options, config: { replicaof, ...secret, ...options.config } });
  const caughtUp = async (): Promise<void> => {
    const wanted = Number((await redisInfo(master.url)).get("master_repl_offset"));
    await until(
      async () => {
        const info = await redisInfo(server.url);
        return info.get("master_link_status") === "up" && Number(info.get("slave_repl_offset")) >= wanted;
      },
      () => `the replica at ${server.url} has what ${master.url} had`,
    );
  };
  try {
    await caughtUp();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    ...server,
    async pauseReplication() {
      await caughtUp();
      await server.command("REPLICAOF", "127.0.0.1", NOBODY);
    },
    async resumeReplication() {
      await server.command("REPLICAOF", "127.0.0.1", master.port);
      await caughtUp();
    },
    async promote() {
      await server.command("REPLICAOF", "NO", "ONE");
    },
  };
}
