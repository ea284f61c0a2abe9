import { setTimeout as sleep } from "node:timers/promises";
import { RedisCounterBackend } from "@usage/counter-redis";
import { startRedis } from "@usage/test-servers";
import { answer } from "../child.ts";
import { BACKENDS } from "../counters/subjects.ts";
import { IS_SHORT } from "../rounds.ts";
import { openClient } from "./clients.ts";

/** `hangs`: it answers nothing, and then goes on. `dies`: it is killed, and begins again without data. */
export type Outage = "hangs" | "dies";

export interface RecoveryTimes {
  /** From when Redis was back until every instance knew all that any had counted by then, in milliseconds, by round. */
  readonly agreedMs: number[];
}

const INSTANCES = 8;
const OUTAGE_MS = 10_000;
const LOAD_INTERVAL_MS = 5;
const ROUNDS = IS_SHORT ? 1 : 8;
/** The longest interval of those that begin with the outage: a client's, between two attempts to connect. */
const LONGEST_INTERVAL_MS = 2_000;

// Arguments: the outage.
const outage = process.argv[2] as Outage;
const server = await startRedis();
const clients = await Promise.all(Array.from({ length: INSTANCES }, () => openClient(server.url)));
for (const client of clients) client.on("error", () => {}); // expected
const counters = await Promise.all(
  clients.map((client) => RedisCounterBackend.connect({ client, backends: BACKENDS })),
);
/** What all instances have counted, of each backend and dimension. */
let counted = 0;

const load = setInterval(countEverywhere, LOAD_INTERVAL_MS);
const times: RecoveryTimes = { agreedMs: [] };
for (let round = 0; round < ROUNDS; round++) {
  await sleep(1_000);
  if (outage === "hangs") server.pause();
  else await server.kill();
  // Redis comes back at another point of that interval each time.
  await sleep(OUTAGE_MS + (round * LONGEST_INTERVAL_MS) / ROUNDS);
  if (counters.some((counter) => counter.isHealthy())) throw new Error("an instance did not notice the outage");
  if (outage === "hangs") server.resume();
  else await server.startEmpty();
  const start = performance.now();
  await untilAllKnow(counted);
  times.agreedMs.push(performance.now() - start);
}
clearInterval(load);
await untilAllKnow(counted);
for (const counter of counters) {
  if (lowestTotal(counter) !== counted || highestTotal(counter) !== counted) {
    throw new Error(`counted ${counted}, got totals from ${lowestTotal(counter)} to ${highestTotal(counter)}`);
  }
}
await Promise.all(counters.map((counter) => counter.close()));
for (const client of clients) client.disconnect();
await server.stop();
answer(times);

function countEverywhere(): void {
  for (const counter of counters) {
    for (const name of BACKENDS) counter.addAll(name, { apiRequests: 1, egressBytes: 1, ingressBytes: 1 });
  }
  counted += INSTANCES;
}

async function untilAllKnow(amount: number): Promise<void> {
  while (counters.some((counter) => lowestTotal(counter) < amount)) await sleep(1);
}

function lowestTotal(counter: RedisCounterBackend): number {
  return Math.min(...BACKENDS.flatMap((name) => Object.values(counter.totalAll(name))));
}

function highestTotal(counter: RedisCounterBackend): number {
  return Math.max(...BACKENDS.flatMap((name) => Object.values(counter.totalAll(name))));
}
