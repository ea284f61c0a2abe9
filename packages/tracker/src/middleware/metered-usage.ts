import type { Hold, HoldOptions, Limits, Usage, UsageCounter, UsageStore } from "@usage/counter-core";
import type { Decision } from "../decision.ts";
import type { ReserveOptions } from "../waiting-room.ts";

/** What counts for a middleware: what `openUsage` resolves to, with windows or without, or a `UsageTracker`; `L` are its limits. */
export interface MeteredUsage<D extends string, L = Limits<D>> {
  readonly store: Pick<UsageStore<D>, "dimensions">;
  /** Where there is one. */
  readonly counter?: Pick<UsageCounter<D>, "dimensions" | "readTotal" | "readLimits" | "heldAll" | "period">;
  ensure(backend: string): Promise<void> | undefined;
  tryRecord(backend: string, usage: Partial<Usage<D>>): boolean;
  tryReserve(backend: string, usage: Partial<Usage<D>>, options?: HoldOptions): Hold<D> | undefined;
  reserve(backend: string, usage: Partial<Usage<D>>, options?: ReserveOptions): Promise<Hold<D> | undefined>;
  check(backend: string, proposed: Partial<Usage<D>>): Decision<D>;
  setLimits(backend: string, limits: L | undefined): void;
}

/** What it counts, the first one first. */
export function dimensionsOf<D extends string>({ counter, store }: MeteredUsage<D, unknown>): readonly D[] {
  return counter?.dimensions ?? store.dimensions;
}
