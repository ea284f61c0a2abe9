import { LocalCounterBackend } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { watchLoop } from "../loop.ts";
import { interleave, roundsOf } from "../rounds.ts";
import type { FlushTarget, UsageRow } from "./flush-target.ts";
import { openPostgresTarget } from "./postgres-target.ts";
import { openSqliteTarget } from "./sqlite-target.ts";

/** Samples of one way to store everything, in milliseconds, by round. */
export interface WayTimes {
  /** The first time. */
  readonly insert: number[];
  /** Again, after everything has grown. */
  readonly update: number[];
  /** The longest that the event loop was held in either. */
  readonly hold: number[];
}

export type FlushTimes = Record<"flush" | "timed" | "bare" | "perBackend", WayTimes>;

/** Grows every count by `amount` and answers what stores them all. Only the latter is timed. */
type Way = (amount: number) => () => Promise<void>;

/** One by one is so slow that only one backend of so many is stored, and its time multiplied. */
const PER_BACKEND_PART = 10;
const DIMENSIONS = ["apiRequests", "egressBytes", "ingressBytes"];
const names = Array.from({ length: 10_000 }, (_, i) => `tenant-${String(i).padStart(5, "0")}`);

// Argument: the database.
const target = process.argv[2] === "postgres" ? await openPostgresTarget() : await openSqliteTarget();
const ROUNDS = roundsOf({ rounds: 11, warmups: 2 });
const times: FlushTimes = { flush: noTimes(), timed: noTimes(), bare: noTimes(), perBackend: noTimes() };
await interleave(
  {
    flush: () => sample(times.flush, flushing(target.store)),
    timed: () => sample(times.timed, flushing(target.timed)),
    bare: () => sample(times.bare, atOnce(target)),
    perBackend: () => sample(times.perBackend, backendByBackend(target)),
  },
  ROUNDS,
);
await target.close();
for (const { insert, update, hold } of Object.values(times)) {
  for (const values of [insert, update, hold]) values.splice(0, ROUNDS.warmups);
}
for (const values of [times.perBackend.insert, times.perBackend.update]) {
  values.splice(0, values.length, ...values.map((ms) => ms * PER_BACKEND_PART));
}
answer(times);

function flushing(store: FlushTarget["store"]): Way {
  const tracker = new UsageTracker(new LocalCounterBackend(names), { store });
  return (amount) => {
    for (const name of names) {
      tracker.record(name, { apiRequests: amount, egressBytes: amount, ingressBytes: amount });
    }
    return async () => {
      const { stored } = await tracker.flush();
      if (stored !== names.length) throw new Error(`${stored} of ${names.length} tallies were stored`);
    };
  };
}

function atOnce(target: FlushTarget): Way {
  return (amount) => {
    const rows = names.flatMap((name) => rowsOf(name, amount));
    return () => target.upsertAll(rows);
  };
}

function backendByBackend(target: FlushTarget): Way {
  return (amount) => {
    const backends = names.slice(0, names.length / PER_BACKEND_PART).map((name) => rowsOf(name, amount));
    return async () => {
      for (const rows of backends) await target.upsertBackend(rows);
    };
  };
}

function rowsOf(backend: string, amount: number): UsageRow[] {
  return DIMENSIONS.map((dimension) => ({ period: "2026-01", backend, dimension, writer: "bare", amount }));
}

async function sample({ insert, update, hold }: WayTimes, way: Way): Promise<number> {
  await target.clear();
  const first = await timed(way(1_000));
  const second = await timed(way(2_000));
  insert.push(first.tookMs);
  update.push(second.tookMs);
  hold.push(Math.max(first.heldMs, second.heldMs));
  return first.tookMs + second.tookMs;
}

async function timed(store: () => Promise<void>): Promise<{ readonly tookMs: number; readonly heldMs: number }> {
  globalThis.gc?.();
  const loop = await watchLoop();
  const start = performance.now();
  await store();
  const tookMs = performance.now() - start;
  return { tookMs, heldMs: await loop.heldMs() };
}

function noTimes(): WayTimes {
  return { insert: [], update: [], hold: [] };
}
