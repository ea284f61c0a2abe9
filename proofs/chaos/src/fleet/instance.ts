import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { systemClock, type Usage } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openUsage } from "@usage/tracker";
import { Redis } from "ioredis";
import { Book } from "./book.ts";
import { HotNames, idleNames, limitedName, randomOf } from "./hot-names.ts";
import { LimitedUse } from "./limited-use.ts";
import type {
  AmountsByBackend,
  FleetCommand,
  FleetMessage,
  Flushes,
  InstanceSettings,
  StepReport,
} from "./messages.ts";
import { reportingStore } from "./reporting-store.ts";

const TURN_MS = 200;
const SILENCE_MS = 2_000;

type Step = readonly (readonly [backend: string, usage: Partial<Usage>])[];

const settings = JSON.parse(process.argv[2] ?? "{}") as InstanceSettings;
const { prefix, idleMs, clockOffsetMs = 0, stepMs = 1, timeoutMs = 30_000, limited } = settings;
const clock = { ...systemClock, now: () => Date.now() + clockOffsetMs };
const client = new Redis(settings.redisUrl, recommendedClientOptions);
client.on("error", () => {});
const idle = new Set(idleNames(settings));
/** Idle ones that were counted, and are not known to be shared. */
const woken = new Set<string>();
const backends = [...settings.backends, ...idle];
const letGo = idleMs === undefined ? {} : { idleMs };
const enforcement = limited === undefined ? "approximate" : "exact";
const lease = limited?.leaseMs === undefined ? {} : { leaseMs: limited.leaseMs };
const counter = await RedisCounterBackend.connect({ client, prefix, backends, clock, enforcement, ...letGo, ...lease });
const database = await openPostgresStore(settings.databaseUrl, { timeoutMs });
const store = settings.reports
  ? reportingStore(database, counter.writer, (entries) => send({ kind: "stored", entries }))
  : database;
const intervalMs = settings.flushIntervalMs ?? 2 ** 31 - 1;
const limitedNames = limitedName(prefix, "");
const usage = await openUsage({
  counter,
  store,
  clock,
  limits: (name) => (name.startsWith(limitedNames) ? { apiRequests: limited?.limit ?? 0 } : {}),
  intervalMs,
  nearLimitIntervalMs: intervalMs,
  timeoutMs,
  readTimeoutMs: timeoutMs,
});

const names = new HotNames(settings, counter.writer);
const limitedUse = limited === undefined ? undefined : new LimitedUse(usage, limited, prefix);
const recorded = new Book();
/** Brought in since the last report. */
let takenUp: string[] = [];
let isLastRecorded = true;
let loads: readonly Promise<void>[] = [];
let resting = false;

async function load(): Promise<void> {
  while (!resting) {
    if (limitedUse?.isDue) await useLimited(limitedUse);
    else {
      const step = Array.from({ length: 1 + Math.floor(20 * Math.random()) }, () => randomUsage());
      const held = step.filter(([backend]) => counter.has(backend));
      await record(held, () => {
        for (const [backend, amounts] of held) usage.record(backend, amounts);
        return true;
      });
    }
    await sleep(stepMs * (1 + 2 * Math.random()));
  }
}

async function useLimited(use: LimitedUse): Promise<void> {
  for (let i = 0; i < (limited?.burst ?? 1); i++) {
    // What cannot be brought in is not used.
    await bringIn([use.name]).catch(() => {});
    const next = counter.has(use.name) ? await use.next() : undefined;
    if (next !== undefined) await record([[next.backend, { apiRequests: next.amount }]], next.take);
  }
}

/** Lets names come and go, as fast as Redis and the store allow. */
async function turn(): Promise<void> {
  while (!resting) {
    const name = names.next();
    const isHeld = await bringIn([name]).then(
      () => true,
      () => false,
    );
    if (isHeld) names.use(name);
    usage.release(randomOf(told()) ?? name);
    await sleep(TURN_MS * (1 + Math.random()));
  }
}

/** Holds all of them at once when it resolves. */
async function bringIn(all: readonly string[]): Promise<void> {
  for (;;) {
    const missing = all.filter((name) => !counter.has(name));
    const asked = usage.ensure(all);
    if (asked === undefined) return;
    await asked;
    takenUp.push(...missing);
  }
}

/** Tells what is to be recorded before `take` does it, where that is to be told. It returns whether it did. */
async function record(step: Step, take: () => boolean): Promise<void> {
  const planned = settings.reports ? await report(step) : undefined;
  const { key } = counter.period();
  // Whatever is not held any more may be let go of while the report is under way.
  const canTake = (planned === undefined || planned === key) && step.every(([backend]) => counter.has(backend));
  isLastRecorded = canTake && take();
  // Nothing changes the period meanwhile.
  if (!isLastRecorded) return;
  for (const [backend, amounts] of step) {
    recorded.add(key, backend, { ...amounts });
    if (idle.has(backend)) woken.add(backend);
  }
}

function randomUsage(): readonly [backend: string, usage: Usage] {
  return [names.pick(), { apiRequests: 1, egressBytes: Math.floor(10_000 * Math.random()), ingressBytes: 7 }];
}

/** Answers the period that the step is planned in. */
async function report(step: Step): Promise<string> {
  const known = knowledge();
  await send({
    kind: "step",
    step: step.map(([backend, amounts]) => [backend, { ...amounts }]),
    isLastRecorded,
    ...known,
  });
  return known.period;
}

/** All of one period: what is not shared is asked for with a look at the clock, which may turn it. */
function knowledge(): Pick<StepReport, "period" | "unpushed" | "view" | "takenUp" | "sharedAtMs"> {
  for (;;) {
    const period = counter.period().key;
    const unpushed = byBackend((backend) => counter.unpushedAll(backend));
    const view = byBackend((backend) => counter.totalAll(backend));
    const sharedAtMs = counter.sharedAtMs();
    if (counter.period().key !== period) continue;
    const since = takenUp;
    takenUp = [];
    for (const backend of woken) if (isNone(unpushed[backend])) woken.delete(backend);
    return {
      period,
      unpushed,
      view,
      takenUp: since,
      ...(sharedAtMs !== undefined && { sharedAtMs: sharedAtMs - clockOffsetMs }),
    };
  }
}

function byBackend(
  usageOf: (backend: string) => Usage,
  names: Iterable<string> = [...told(), ...woken],
): AmountsByBackend {
  return Object.fromEntries(Array.from(names, (backend) => [backend, { ...usageOf(backend) }]));
}

/** Those that are held and not idle. */
function told(): readonly string[] {
  return idle.size === 0 ? counter.backends() : counter.backends().filter((backend) => !idle.has(backend));
}

function isNone(usage: Readonly<Record<string, number>> = {}): boolean {
  return Object.values(usage).every((amount) => amount === 0);
}

const flushes: Flushes = { good: 0, failed: 0 };

async function flushWithoutPause(): Promise<void> {
  while (!resting) {
    flushes[(await flush()) ? "good" : "failed"] += 1;
    await sleep(1);
  }
}

function flush(): Promise<boolean> {
  return usage.flusher.flush().then(
    () => true,
    (error: unknown) => {
      flushes.error = inspect(error);
      return false;
    },
  );
}

async function rest(): Promise<void> {
  resting = true;
  await Promise.all(loads);
  limitedUse?.void();
}

/** Uses what is kept free. */
function settle(): void {
  for (const [period, backend, amount] of limitedUse?.settle() ?? []) {
    recorded.add(period, backend, { apiRequests: amount });
  }
}

async function stop(): Promise<void> {
  await rest();
  await usage.close();
  await counter.close();
  client.disconnect();
  await database.close();
}

/** Resolves when it is written: it arrives, whatever happens to us. */
function send(message: FleetMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function answer(message: FleetCommand): Promise<unknown> {
  switch (message.command) {
    case "load":
      resting = false;
      loads = [load(), ...(names.isOpen ? [turn()] : []), ...(message.flushing ? [flushWithoutPause()] : [])];
      return "loading";
    case "rest":
      await rest();
      return recorded.entries();
    case "flush":
      return flush();
    case "flushes":
      return flushes;
    case "totals":
      // What cannot be read is not in the view.
      await bringIn(message.backends ?? []).catch(() => {});
      return {
        period: counter.period().key,
        view: byBackend((backend) => counter.totalAll(backend), counter.backends()),
      };
    case "shared":
      return counter.isHealthy() ? (counter.sharedAtMs() ?? Number.NEGATIVE_INFINITY) - clockOffsetMs : undefined;
    case "reserve":
      await bringIn(limitedUse === undefined ? [] : [limitedUse.name]);
      return limitedUse?.reserve(message.amount) ?? false;
    case "settle":
      settle();
      return true;
    case "stop":
      await stop();
      return recorded.entries();
  }
}

/** Tells when it was out of reach for seconds. */
function watchSilence(): void {
  let fromMs = counter.sharedAtMs() ?? 0;
  setInterval(() => {
    const toMs = counter.sharedAtMs() ?? fromMs;
    const silence = { fromMs: fromMs - clockOffsetMs, toMs: toMs - clockOffsetMs };
    if (toMs - fromMs >= SILENCE_MS) void send({ kind: "silence", ...silence }).catch(() => {});
    fromMs = toMs;
  }, SILENCE_MS / 40).unref();
}

if (limited !== undefined) watchSilence();
process.on("message", async (message: FleetCommand) => {
  await send({ kind: "answer", answer: await answer(message) });
  if (message.command === "stop") process.disconnect();
});
await send({ kind: "ready", writer: counter.writer });
