import { type RedisServer, startRedis } from "./redis.ts";
import { until } from "./until.ts";

const SENTINELS = 3;

export interface RedisSentinels {
  /** What they call the master. */
  readonly name: string;
  /** Each may be killed, started again, paused and resumed for itself. */
  readonly nodes: readonly RedisServer[];
  /** The port of the master that most of them agree on; undefined while they do not. */
  masterPort(): Promise<number | undefined>;
  stop(): Promise<void>;
}

/** Starts three Sentinels that make a replica of `master` the new one within a second or two once it is gone. */
export async function startSentinels(master: RedisServer, replicas: number): Promise<RedisSentinels> {
  const name = "usage";
  const { password } = new URL(master.url);
  const config = {
    "sentinel monitor": `${name} 127.0.0.1 ${master.port} 2`,
    "sentinel down-after-milliseconds": `${name} 400`,
    "sentinel failover-timeout": `${name} 3000`,
    ...(password !== "" && { "sentinel auth-pass": `${name} ${decodeURIComponent(password)}` }),
  };
  const starts = await Promise.allSettled(
    Array.from({ length: SENTINELS }, () => startRedis({ sentinel: true, config })),
  );
  const nodes = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    const failed = starts.find((start) => start.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    for (const node of nodes) {
      await until(
        async () => {
          const [known, others] = await Promise.all([
            node.command("SENTINEL", "replicas", name),
            node.command("SENTINEL", "sentinels", name),
          ]);
          return lengthOf(known) >= replicas && lengthOf(others) === SENTINELS - 1;
        },
        () => `the Sentinel at ${node.url} knows the others and the replicas`,
      );
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const masterPort = async (): Promise<number | undefined> => {
    const told = await Promise.all(nodes.map((node) => node.command("SENTINEL", "get-master-addr-by-name", name)));
    const ports = told.map((reply) => (Array.isArray(reply) ? Number(reply[1]) : undefined));
    return ports.find((port) => ports.filter((other) => other === port).length > SENTINELS / 2);
  };
  return { name, nodes, masterPort, stop };
}

function lengthOf(reply: unknown): number {
  return Array.isArray(reply) ? reply.length : 0;
}
