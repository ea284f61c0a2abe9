/** How often one is looked at within the shortest silence that is too long: what falls silent is noticed at most a quarter late. */
export const LOOKS_PER_SILENCE = 4;

/** Notices by looks at even intervals that somebody who is waited for does nothing; a timer that each read starts anew would cost more. */
export class Silence {
  readonly #longest: number;
  #moved = 0;
  // Below zero until it has been waited for at one look: what begins between two looks lasts no shorter for that.
  #looks = -1;

  /** @param longest how many looks in a row it takes. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /**
   * @param moved what has moved so far, in bytes: only what this silence is about.
   * @param waiting whether it is waited for.
   * @returns whether the silence has lasted too long.
   */
  look(moved: number, waiting: boolean): boolean {
    if (!waiting || moved !== this.#moved) {
      this.#moved = moved;
      this.#looks = waiting ? 0 : -1;
      return false;
    }
    this.#looks += 1;
    return this.#looks >= this.#longest;
  }
}
