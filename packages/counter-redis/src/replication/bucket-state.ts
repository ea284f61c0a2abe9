import type { Bucket } from "../server/keys.ts";

/** What is known of a bucket. */
export class BucketState implements Bucket {
  readonly period: Bucket["period"];
  readonly number: number;
  /** Empty until it is known. */
  epoch = "";
  /** The version up to which what others changed is known. */
  cursor = 0;
  /** The highest version in any reply of this epoch. */
  seen = 0;
  /** When the last answered exchange that showed this epoch was sent, and when it was first seen, by `Clock.elapsed`. */
  servedAtMs: number = Number.NEGATIVE_INFINITY;
  seenAtMs = 0;
  /** Whether something of ours was pushed since we last reported that all of it is stored. */
  owes = false;
  /** Whether the node of a cluster that has it did not answer: it holds up nobody else until it does. */
  isAway = false;
  #isRipe = false;
  #wasRipe = false;

  constructor(period: Bucket["period"], number: number) {
    this.period = period;
    this.number = number;
  }

  /** Whether slices are granted there, as far as known. */
  get isRipe(): boolean {
    return this.#isRipe;
  }

  /** Whether they ever were, in whatever epoch. */
  get wasRipe(): boolean {
    return this.#wasRipe;
  }

  ripe(isRipe: boolean): void {
    this.#isRipe = isRipe;
    this.#wasRipe ||= isRipe;
  }

  /** It has this epoch from now on, by `Clock.elapsed`. */
  begin(epoch: string, atMs: number): void {
    this.epoch = epoch;
    this.seenAtMs = atMs;
    this.servedAtMs = Number.NEGATIVE_INFINITY;
    this.ripe(false);
  }

  /** What a poll shows while nothing has changed. */
  get version(): string {
    return this.epoch === "" ? "" : `${this.epoch} ${this.cursor}`;
  }
}
