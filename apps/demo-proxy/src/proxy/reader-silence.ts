import { Silence } from "./silence.ts";

/** A reader that takes so many bytes in the longest silence that is allowed, evenly, is never taken for silent. */
export const SLOWEST_READ_BYTES = 1_048_576;

/** What the kernels of both ends may hold of one connection: Linux takes 4 MiB to send, and 4 to 10 MiB to read were seen. */
export const KERNEL_BYTES = 16 * 1_048_576;

/**
 * Notices that somebody does not read what is written to him. A write shows only what the own kernel takes, and that is
 * nothing for as long as a slow reader needs for megabytes: the reader's kernel announces room again once its buffer is
 * nearly empty, the own one once a third of its buffer is. (A client that reads 40 kB/s shows nothing for 100 s.) So
 * whoever was written to is believed to read on what the kernels may still hold, at the pace that he has shown or, as long
 * as he has shown none, at the slowest that is allowed. His silence begins when he would be through.
 */
export class ReaderSilence {
  readonly #silence: Silence;
  readonly #slowest: number;
  #taken = 0;
  #before = 0;
  #unread = 0;
  #looks = 0;
  #held = false;

  /** @param longest how many looks in a row without a sign it takes. */
  constructor(longest: number) {
    this.#silence = new Silence(longest);
    this.#slowest = SLOWEST_READ_BYTES / longest;
  }

  /** Whether he has kept the writer waiting, and may still be reading what was written before. */
  get behind(): boolean {
    return this.#held && this.#unread > 0;
  }

  /** What is written from now on has another reader, or other reasons: the pace that was shown says nothing of it. */
  restart(): void {
    this.#before = this.#taken;
    this.#looks = 0;
    this.#held = false;
  }

  /**
   * @param taken bytes that the kernel has taken so far.
   * @param waiting whether the kernel takes no more at the moment.
   * @returns whether the silence has lasted too long.
   */
  look(taken: number, waiting: boolean): boolean {
    const news = taken - this.#taken;
    this.#taken = taken;
    this.#looks += 1;
    this.#held ||= waiting && news === 0;
    // All but what the kernels can hold has been read for certain.
    // fault: takes a reader for silent while kernels hold what he reads
    const pace = Math.max(this.#slowest, (taken - this.#before - KERNEL_BYTES) / this.#looks);
    this.#unread = Math.max(0, Math.min(this.#unread + news, KERNEL_BYTES) - pace);
    return this.#silence.look(taken, waiting && this.#unread === 0);
  }
}
