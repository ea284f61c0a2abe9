import { RedisCounterBackend } from "@usage/counter-redis";
import { Redis } from "ioredis";
import { answer } from "../child.ts";
import { watchLoop } from "../loop.ts";
import { interleave, roundsOf } from "../rounds.ts";
import { openClient, SerialClient, WatchedClient } from "./clients.ts";
import { addAll } from "./peers.ts";
import { serverUse } from "./server-use.ts";
import { tenantNames, USAGE } from "./tenants.ts";
import { isPushed, untilPushed } from "./until-pushed.ts";

/**
 * How all backends are sent: beside a peer, which has its turns between; or in calls one after the other, where many are in
 * flight otherwise.
 */
export type PushWay = "beside" | "serial";

/** Samples by round. */
export interface PushTimes {
  /** Until everything is there, in milliseconds. */
  readonly tookMs: number[];
  /** The longest that the event loop was held meanwhile. */
  readonly heldMs: number[];
  /** Per backend: from the first command to the last reply. */
  readonly exchangeUs: number[];
  /** Per backend: CPU time of this process, and of the server. */
  readonly cpuUs: number[];
  readonly serverCpuUs: number[];
  /** Per backend: bytes to and from the server. */
  readonly bytesIn: number[];
  readonly bytesOut: number[];
}

export interface PushAndPeerTimes {
  readonly push: PushTimes;
  /** Empty where it has no turns. */
  readonly peer: PushTimes;
}

/** Sends everything; answers how long that took, and how long of it commands were under way, in milliseconds. */
type Send = () => Promise<{ readonly tookMs: number; readonly busyMs: number }>;

const ROUNDS = roundsOf({ rounds: 15, warmups: 3 });
const PEER_BATCH = 100;

// Arguments: the server, the way, and the number of backends.
const [, , url = "", way = "", size = ""] = process.argv;
const names = tenantNames(Number(size));
const admin = new Redis(url);
await admin.flushall();
const connection = await openClient(url);
const client = new WatchedClient(connection);
const counter = await RedisCounterBackend.connect({
  client: way === "serial" ? new SerialClient(client) : client,
  backends: names,
});
const peer = new Redis(url, { keyPrefix: "peer:" });
const times: PushAndPeerTimes = { push: noTimes(), peer: noTimes() };
const samplePush = (): Promise<number> => sample(times.push, pushAll);
const samplePeer = (): Promise<number> => sample(times.peer, addInBatches);
await interleave<string>(way === "beside" ? { samplePush, samplePeer } : { samplePush }, ROUNDS);
await counter.close();
for (const redis of [connection, peer, admin]) redis.disconnect();
for (const values of [...Object.values(times.push), ...Object.values(times.peer)]) values.splice(0, ROUNDS.warmups);
answer(times);

async function pushAll(): ReturnType<Send> {
  client.watchAgain();
  const start = performance.now();
  for (const name of names) counter.addAll(name, USAGE);
  await untilPushed(counter, names);
  return { tookMs: performance.now() - start, busyMs: client.busyMs };
}

async function addInBatches(): ReturnType<Send> {
  const start = performance.now();
  for (let first = 0; first < names.length; first += PEER_BATCH) {
    await addAll(peer, names.slice(first, first + PEER_BATCH), USAGE);
  }
  const tookMs = performance.now() - start;
  return { tookMs, busyMs: tookMs };
}

async function sample(into: PushTimes, send: Send): Promise<number> {
  globalThis.gc?.();
  const before = await serverUse(admin);
  const loop = await watchLoop();
  const cpu = process.cpuUsage();
  const { tookMs, busyMs } = await send();
  const { user, system } = process.cpuUsage(cpu);
  const heldMs = await loop.heldMs();
  const after = await serverUse(admin);
  if (send === pushAll && !names.every((name) => isPushed(counter, name))) throw new Error("not all was pushed");
  const perBackend = (amount: number): number => amount / names.length;
  into.tookMs.push(tookMs);
  into.heldMs.push(heldMs);
  into.exchangeUs.push(perBackend(busyMs * 1e3));
  into.cpuUs.push(perBackend(user + system));
  into.serverCpuUs.push(perBackend(after.cpuUs - before.cpuUs));
  into.bytesIn.push(perBackend(after.bytesIn - before.bytesIn));
  into.bytesOut.push(perBackend(after.bytesOut - before.bytesOut));
  return tookMs;
}

function noTimes(): PushTimes {
  return { tookMs: [], heldMs: [], exchangeUs: [], cpuUs: [], serverCpuUs: [], bytesIn: [], bytesOut: [] };
}
