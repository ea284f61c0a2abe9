import { LocalCounterBackend, type UsageStore } from "@usage/counter-core";
import { RedisCounterBackend } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { startPostgres, startRedis } from "@usage/test-servers";
import { type TrackedCounter, UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { openSqliteTarget } from "../flush/sqlite-target.ts";
import { watchLoop } from "../loop.ts";
import { openClient } from "../redis/clients.ts";
import { IS_SHORT, interleave, roundsOf } from "../rounds.ts";

export type Servers = "sqlite" | "redis";

/** By round: until all are held, one after the other, in milliseconds, and the longest that the event loop was held meanwhile. */
export interface EnsureTimes {
  readonly tookMs: number[];
  readonly heldMs: number[];
  /** One read of the store for each, awaited, and the same of it: so much of a hold is the machine's. */
  readonly bareMs: number[];
  readonly bareHeldMs: number[];
}

const TENANTS = IS_SHORT ? 1_000 : 10_000;
const ROUNDS = roundsOf({ rounds: 3, warmups: 1 });
const LIMITS = { apiRequests: 1e6, egressBytes: 1e12, ingressBytes: 1e12 };

// Argument: the store, and whether there is Redis.
const ends = new AsyncDisposableStack();
const { store, connect } = await open(process.argv[2] as Servers);
const heldMs: number[] = [];
const bareHeldMs: number[] = [];
let round = 0;
const { tookMs, bareMs } = await interleave(
  {
    async tookMs() {
      const counter = await connect();
      const tracker = new UsageTracker(counter, { store, limits: () => LIMITS });
      await tracker.refresh();
      const names = tenants("ensured");
      const loop = await watchLoop();
      const start = performance.now();
      for (const name of names) await tracker.ensure(name);
      const tookMs = performance.now() - start;
      heldMs.push(await loop.heldMs());
      if (!names.every((name) => tracker.tryRecord(name, { apiRequests: 1 }))) throw new Error("a tenant is refused");
      await counter[Symbol.asyncDispose]?.();
      return tookMs;
    },
    async bareMs() {
      const { key } = new LocalCounterBackend().period();
      const names = tenants("bare");
      const loop = await watchLoop();
      const start = performance.now();
      for (const name of names) await store.tallies(key, [name]);
      const tookMs = performance.now() - start;
      bareHeldMs.push(await loop.heldMs());
      return tookMs;
    },
  },
  ROUNDS,
);
await ends.disposeAsync();
answer({
  tookMs,
  bareMs,
  heldMs: heldMs.slice(ROUNDS.warmups),
  bareHeldMs: bareHeldMs.slice(ROUNDS.warmups),
} satisfies EnsureTimes);

interface Opened {
  readonly store: UsageStore;
  connect(): Promise<TrackedCounter<"apiRequests" | "egressBytes" | "ingressBytes"> & Partial<AsyncDisposable>>;
}

async function open(servers: Servers): Promise<Opened> {
  if (servers === "sqlite") {
    const target = await openSqliteTarget();
    ends.defer(() => target.close());
    return { store: target.store, connect: async () => new LocalCounterBackend() };
  }
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  ends.defer(() => redis.stop());
  ends.defer(() => postgres.stop());
  const store = await openPostgresStore(postgres.url);
  ends.defer(() => store.close());
  const client = await openClient(redis.url);
  ends.defer(() => client.disconnect());
  return { store, connect: () => RedisCounterBackend.connect({ client }) };
}

/** Names that nobody has seen yet. */
function tenants(kind: string): readonly string[] {
  round += 1;
  return Array.from({ length: TENANTS }, (_, i) => `${kind}-${round}-${String(i).padStart(5, "0")}`);
}
