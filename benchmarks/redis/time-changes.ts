import { setTimeout as sleep } from "node:timers/promises";
import { RedisCounterBackend } from "@usage/counter-redis";
import { Redis } from "ioredis";
import { answer } from "../child.ts";
import { watchLoop } from "../loop.ts";
import { IS_SHORT, roundsOf } from "../rounds.ts";
import { openClient } from "./clients.ts";
import { tenantNames, USAGE } from "./tenants.ts";
import { untilPushed } from "./until-pushed.ts";

/** Milliseconds, with two instances that hold so many backends. */
export interface ChangeTimes {
  /** Until the other instance knows of a change, for each of a few changes at random moments. */
  readonly seenMs: number[];
  /** Until all backends, counted in one turn, are shared, and the longest that the event loop was held meanwhile. */
  readonly sharedMs: number[];
  readonly heldMs: number[];
  /** An instance that holds none connects. */
  readonly startMs: number[];
}

const CHANGES = IS_SHORT ? 5 : 50;
const ROUNDS = roundsOf({ rounds: 7, warmups: 1 });

// Arguments: the server, and the number of backends.
const [, , url = "", size = ""] = process.argv;
const names = tenantNames(Number(size));
const admin = new Redis(url);
await admin.flushall();
const [own, other, third] = await Promise.all([openClient(url), openClient(url), openClient(url)]);
const counter = await RedisCounterBackend.connect({ client: own, backends: names });
const elsewhere = await RedisCounterBackend.connect({ client: other, backends: names });
const times: ChangeTimes = { seenMs: [], sharedMs: [], heldMs: [], startMs: [] };
for (let round = -ROUNDS.warmups; round < ROUNDS.rounds; round++) {
  const [sharedMs, heldMs] = await burst();
  const startMs = await start();
  if (round < 0) continue;
  times.sharedMs.push(sharedMs);
  times.heldMs.push(heldMs);
  times.startMs.push(startMs);
}
// What the other one has to learn of the last burst is over by then.
while (elsewhere.totalAll(names.at(-1) ?? "").apiRequests < counter.totalAll(names.at(-1) ?? "").apiRequests) {
  await sleep(100);
}
await sleep(2_000);
for (let change = 0; change < CHANGES; change++) {
  await sleep(100 * Math.random());
  times.seenMs.push(await seen(names[Math.floor(Math.random() * names.length)] as string));
}
await Promise.all([counter.close(), elsewhere.close()]);
for (const redis of [own, other, third, admin]) redis.disconnect();
answer(times);

async function burst(): Promise<readonly [sharedMs: number, heldMs: number]> {
  // Counting that many takes a while by itself, which is the caller's.
  for (const name of names) counter.addAll(name, USAGE);
  const loop = await watchLoop();
  const start = performance.now();
  await untilPushed(counter, names);
  return [performance.now() - start, await loop.heldMs()];
}

async function start(): Promise<number> {
  const start = performance.now();
  const started = await RedisCounterBackend.connect({ client: third });
  const tookMs = performance.now() - start;
  await started.close();
  return tookMs;
}

async function seen(name: string): Promise<number> {
  const { apiRequests } = elsewhere.totalAll(name);
  const start = performance.now();
  counter.addAll(name, USAGE);
  while (elsewhere.totalAll(name).apiRequests === apiRequests) await sleep(1);
  return performance.now() - start;
}
