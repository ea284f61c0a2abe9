import { BUCKETS, bucketOf } from "../server/keys.ts";

const NONE = -1;

/** Which rows are in which bucket, so that nobody need hash all names to find those of one: a linked list for each. */
export class BucketRows {
  readonly #first = new Int32Array(BUCKETS).fill(NONE);
  #buckets = new Uint8Array(64);
  #next = new Int32Array(64);
  #previous = new Int32Array(64);

  add(row: number, backend: string): void {
    this.#reserve(row);
    const bucket = bucketOf(backend);
    const first = this.#first[bucket] as number;
    this.#buckets[row] = bucket;
    this.#next[row] = first;
    this.#previous[row] = NONE;
    if (first !== NONE) this.#previous[first] = row;
    this.#first[bucket] = row;
  }

  /** For a row that is in one. */
  delete(row: number): void {
    const [next, previous] = [this.#next[row] as number, this.#previous[row] as number];
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else this.#first[this.of(row)] = next;
  }

  /** The bucket of a row that is in one. */
  of(row: number): number {
    return this.#buckets[row] as number;
  }

  in(bucket: number): readonly number[] {
    const rows: number[] = [];
    for (let row = this.#first[bucket] as number; row !== NONE; row = this.#next[row] as number) rows.push(row);
    return rows;
  }

  #reserve(row: number): void {
    if (row < this.#buckets.length) return;
    const rows = Math.max(row + 1, 2 * this.#buckets.length);
    const [buckets, next, previous] = [new Uint8Array(rows), new Int32Array(rows), new Int32Array(rows)];
    buckets.set(this.#buckets);
    next.set(this.#next);
    previous.set(this.#previous);
    [this.#buckets, this.#next, this.#previous] = [buckets, next, previous];
  }
}
