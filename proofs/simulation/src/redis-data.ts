import type { Bucket } from "@usage/counter-redis";
import type { Slices } from "./slice-book.ts";

export interface Epoch {
  readonly id: string;
  readonly run: string;
  readonly version: number;
  readonly sinceMs: number;
  /** The id once slices are granted. */
  readonly ripe: string;
  readonly owed: ReadonlyMap<string, { readonly since: number; readonly last: number }>;
}

export interface Hash {
  readonly mark: string;
  /** By writer, then by dimension. */
  readonly tallies: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Where anybody ever held anything. */
  readonly slices?: Slices;
}

/** Everything at one instant, by key. */
export interface RedisSnapshot {
  readonly epochs: ReadonlyMap<string, Epoch>;
  readonly changes: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly versions: ReadonlyMap<string, string>;
  readonly hashes: ReadonlyMap<string, Hash>;
}

export const NOTHING: RedisSnapshot = { epochs: new Map(), changes: new Map(), versions: new Map(), hashes: new Map() };
export const NOBODY: Hash = { mark: "", tallies: new Map() };

/** Keeps the larger amounts; returns whether any of them grew. */
export function mergeTally(
  tallies: Map<string, ReadonlyMap<string, number>>,
  writer: string,
  amounts: Iterable<readonly [string, number]>,
): boolean {
  const known = tallies.get(writer);
  const merged = new Map(known);
  let grew = false;
  for (const [name, amount] of amounts) {
    if (amount <= (merged.get(name) ?? 0)) continue;
    // fault: the model of Redis adds instead of keeping the maximum
    merged.set(name, amount);
    grew = true;
  }
  if (grew) tallies.set(writer, merged);
  return grew;
}

export function bucketKey({ period, number }: Bucket): string {
  return `${period.key} ${number}`;
}
