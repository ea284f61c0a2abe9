import { request } from "./client.js";

/**
 * Something that is asked for now and then.
 *
 * @typedef {object} Poll
 * @property {() => string} path
 * @property {number} everyMs
 * @property {(body: unknown) => void} load
 * @property {(error: unknown) => void} fail
 */

/** Asks for all that does not come with the events, each in its own rhythm. */
export class Polls {
  #polls;
  /** What was asked for last of each. @type {Map<Poll, { atMs: number }>} */
  #asked = new Map();

  /** @param {readonly Poll[]} polls */
  constructor(polls) {
    this.#polls = polls;
  }

  /** Asks for whatever is due. To be called about once a second, while somebody looks. */
  tick() {
    const nowMs = performance.now();
    for (const poll of this.#polls) {
      const asked = this.#asked.get(poll);
      if (asked === undefined || nowMs - asked.atMs > poll.everyMs) void this.ask(poll);
    }
  }

  /** All of them are due. */
  expire() {
    this.#asked.clear();
  }

  /** Asks now. What was asked for before and comes later is not shown any more. @param {Poll} poll */
  async ask(poll) {
    const asked = { atMs: performance.now() };
    this.#asked.set(poll, asked);
    try {
      const body = await request(poll.path());
      if (this.#asked.get(poll) === asked) poll.load(body);
    } catch (error) {
      if (this.#asked.get(poll) === asked) poll.fail(error);
    }
  }
}
