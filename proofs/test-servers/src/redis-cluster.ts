import { type RedisOptions, type RedisServer, startRedis } from "./redis.ts";
import { until } from "./until.ts";

const SLOTS = 16_384;
const NODES = 3;
const MIGRATE_TIMEOUT_MS = 5_000;

export type RedisClusterOptions = Pick<RedisOptions, "config" | "version">;

/** Three masters without replicas, with a third of the slots each. */
export interface RedisCluster {
  /** Each may be killed, started again, paused and resumed for itself. */
  readonly nodes: readonly RedisServer[];
  /** Resolves when every node knows that all nodes are there. */
  ready(): Promise<void>;
  /** The slot of a key. */
  slotOf(key: string): Promise<number>;
  /** The node that has a slot. */
  ownerOf(slot: number): Promise<RedisServer>;
  /** Moves a slot with its keys to a node, as an operator does while clients go on. */
  moveSlot(slot: number, to: RedisServer): Promise<void>;
  stop(): Promise<void>;
}

/** Starts three nodes on free ports of 127.0.0.1 and makes them a cluster. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const starts = await Promise.allSettled(
    Array.from({ length: NODES }, () => startRedis({ ...options, cluster: true })),
  );
  const nodes = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    const failed = starts.find((start) => start.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    await join(nodes);
    await ready(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    ready: () => ready(nodes),
    slotOf: (key) => slotOf(nodes, key),
    ownerOf: (slot) => ownerOf(nodes, slot),
    moveSlot: (slot, to) => moveSlot(nodes, slot, to),
    stop,
  };
}

async function join(nodes: readonly RedisServer[]): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    // Nodes with one and the same epoch would have to agree on others first.
    await node.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    const first = Math.floor((index * SLOTS) / nodes.length);
    const next = Math.floor(((index + 1) * SLOTS) / nodes.length);
    const slots = Array.from({ length: next - first }, (_, slot) => first + slot);
    await node.command("CLUSTER", "ADDSLOTS", ...slots);
  }
  const [first, ...others] = nodes;
  for (const { port } of others) await first?.command("CLUSTER", "MEET", "127.0.0.1", port);
}

async function ready(nodes: readonly RedisServer[]): Promise<void> {
  for (const node of nodes) {
    let info = "";
    await until(
      async () => {
        info = String(await node.command("CLUSTER", "INFO"));
        return info.includes("cluster_state:ok") && info.includes(`cluster_slots_ok:${SLOTS}`);
      },
      () => `the node at ${node.url} says that all is well: ${info}`,
    );
  }
}

async function slotOf([node]: readonly RedisServer[], key: string): Promise<number> {
  return Number(await node?.command("CLUSTER", "KEYSLOT", key));
}

async function ownerOf(nodes: readonly RedisServer[], slot: number): Promise<RedisServer> {
  for (const node of nodes) {
    // The line of the node itself: `<id> <address> myself,master - 0 0 1 connected 0-5460 5500 [5501->-...]`.
    const line = String(await node.command("CLUSTER", "NODES"))
      .split("\n")
      .find((line) => line.includes("myself"));
    const ranges = line?.split(" ").slice(8) ?? [];
    if (ranges.some((range) => includes(range, slot))) return node;
  }
  throw new Error(`no node has slot ${slot}`);
}

function includes(range: string, slot: number): boolean {
  const [first, last = first] = range.split("-").map(Number);
  return first !== undefined && last !== undefined && first <= slot && slot <= last;
}

/** The steps of `redis-cli --cluster reshard`. */
async function moveSlot(nodes: readonly RedisServer[], slot: number, to: RedisServer): Promise<void> {
  const from = await ownerOf(nodes, slot);
  if (from === to) return;
  const [fromId, toId] = [await from.command("CLUSTER", "MYID"), await to.command("CLUSTER", "MYID")].map(String);
  await to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", String(fromId));
  await from.command("CLUSTER", "SETSLOT", slot, "MIGRATING", String(toId));
  for (;;) {
    const keys = await from.command("CLUSTER", "GETKEYSINSLOT", slot, 100);
    if (!Array.isArray(keys) || keys.length === 0) break;
    await from.command("MIGRATE", "127.0.0.1", to.port, "", 0, MIGRATE_TIMEOUT_MS, ...authOf(to), "KEYS", ...keys);
  }
  for (const node of [to, from, ...nodes.filter((node) => node !== to && node !== from)]) {
    await node.command("CLUSTER", "SETSLOT", slot, "NODE", String(toId));
  }
}

function authOf({ url }: RedisServer): readonly string[] {
  const { password } = new URL(url);
  return password === "" ? [] : ["AUTH", decodeURIComponent(password)];
}
