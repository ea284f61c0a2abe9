const FIRST_CHUNK = 4_096;
const LARGEST_CHUNK = 65_536;
const MOST_BYTES_PER_UNIT = 3;

/**
 * A long text as UTF-8, written at once: thousands of strings that are kept until the end would each be copied by the
 * garbage collector, in one go and while everything else waits.
 */
export class ByteText {
  readonly #full: Uint8Array[] = [];
  #chunk: Buffer = Buffer.alloc(0);
  #used = 0;

  write(text: string): void {
    const most = text.length * MOST_BYTES_PER_UNIT;
    if (most > this.#chunk.length - this.#used) this.#next(most);
    this.#used += this.#chunk.write(text, this.#used);
  }

  /** All that was written. */
  chunks(): readonly Uint8Array[] {
    return [...this.#full, this.#chunk.subarray(0, this.#used)];
  }

  #next(least: number): void {
    if (this.#used > 0) this.#full.push(this.#chunk.subarray(0, this.#used));
    const twice = Math.min(LARGEST_CHUNK, this.#chunk.length * 2);
    this.#chunk = Buffer.allocUnsafe(Math.max(FIRST_CHUNK, twice, least));
    this.#used = 0;
  }
}
