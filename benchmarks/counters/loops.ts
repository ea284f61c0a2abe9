import type { Usage } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";
import type { RateLimiterMemory } from "rate-limiter-flexible";
import type { BareCounter, ThreeAmounts } from "./bare-counter.ts";
import type { MakeUsage } from "./usage-shapes.ts";

// Each loop is written out: V8 specializes a function by all that went through it, so that a shared loop would measure
// the mixture. Names and rings have 16 elements.
const MASK = 15;

type MakeThree = (i: number) => ThreeAmounts;

/** Keeps each object for a while: one that never leaves the loop is not made at all, V8 keeps its fields in registers. */
export function recordKept(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  ring: object[],
  calls: number,
): void {
  for (let i = 0; i < calls; i++) {
    const usage = make(i);
    ring[i & MASK] = usage;
    tracker.record(names[i & MASK] as string, usage);
  }
}

export function checkKept(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  ring: object[],
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) {
    const usage = make(i);
    ring[i & MASK] = usage;
    if (tracker.withinLimits(names[i & MASK] as string, usage)) allowed++;
  }
  return allowed;
}

/** Check, then count: in two calls. */
export function checkAndRecordKept(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  ring: object[],
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) {
    const usage = make(i);
    ring[i & MASK] = usage;
    const name = names[i & MASK] as string;
    if (!tracker.withinLimits(name, usage)) continue;
    tracker.record(name, usage);
    allowed++;
  }
  return allowed;
}

/** The same in one call. */
export function tryRecordKept(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  ring: object[],
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) {
    const usage = make(i);
    ring[i & MASK] = usage;
    if (tracker.tryRecord(names[i & MASK] as string, usage)) allowed++;
  }
  return allowed;
}

/** An estimate is checked, and the actual amounts are counted later. */
export function estimateAndRecordKept(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  ring: object[],
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) {
    const estimate = make(i);
    ring[i & MASK] = estimate;
    const name = names[i & MASK] as string;
    if (!tracker.withinLimits(name, estimate)) continue;
    const actual = make(i);
    ring[i & MASK] = actual;
    tracker.record(name, actual);
    allowed++;
  }
  return allowed;
}

/** An estimate is held, and settled by the actual amounts. */
export function reserveAndSettleKept(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  ring: object[],
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) {
    const estimate = make(i);
    ring[i & MASK] = estimate;
    const hold = tracker.tryReserve(names[i & MASK] as string, estimate);
    if (hold === undefined) continue;
    const actual = make(i);
    ring[i & MASK] = actual;
    hold.settle(actual);
    allowed++;
  }
  return allowed;
}

export function bareKept(
  bare: BareCounter,
  names: readonly string[],
  make: MakeThree,
  ring: object[],
  calls: number,
): void {
  for (let i = 0; i < calls; i++) {
    const usage = make(i);
    ring[i & MASK] = usage;
    bare.record(names[i & MASK] as string, usage);
  }
}

export function recordDropped(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  calls: number,
): void {
  for (let i = 0; i < calls; i++) tracker.record(names[i & MASK] as string, make(i));
}

export function checkDropped(
  tracker: UsageTracker<string>,
  names: readonly string[],
  make: MakeUsage,
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) if (tracker.withinLimits(names[i & MASK] as string, make(i))) allowed++;
  return allowed;
}

export function bareDropped(bare: BareCounter, names: readonly string[], make: MakeThree, calls: number): void {
  for (let i = 0; i < calls; i++) bare.record(names[i & MASK] as string, make(i));
}

export async function consume(limiter: RateLimiterMemory, names: readonly string[], calls: number): Promise<void> {
  for (let i = 0; i < calls; i++) await limiter.consume(names[i & MASK] as string, 1);
}

/** What one `record` does: three numbers, each under a key of its own. */
export async function consumeThree(limiter: RateLimiterMemory, names: readonly string[], calls: number): Promise<void> {
  for (let i = 0; i < calls; i++) {
    const name = names[i & MASK] as string;
    await limiter.consume(`${name}:apiRequests`, 1);
    await limiter.consume(`${name}:egressBytes`, i & 0xfffff);
    await limiter.consume(`${name}:ingressBytes`, 700);
  }
}

/** One object for all calls: whatever is allocated then, the callee allocates. */
export function recordReused(
  tracker: UsageTracker<string>,
  names: readonly string[],
  usage: Usage<string>,
  calls: number,
): void {
  for (let i = 0; i < calls; i++) tracker.record(names[i & MASK] as string, usage);
}

export function checkReused(
  tracker: UsageTracker<string>,
  names: readonly string[],
  usage: Usage<string>,
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) if (tracker.withinLimits(names[i & MASK] as string, usage)) allowed++;
  return allowed;
}

export function tryRecordReused(
  tracker: UsageTracker<string>,
  names: readonly string[],
  usage: Usage<string>,
  calls: number,
): number {
  let allowed = 0;
  for (let i = 0; i < calls; i++) if (tracker.tryRecord(names[i & MASK] as string, usage)) allowed++;
  return allowed;
}
