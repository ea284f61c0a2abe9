import { setImmediate } from "node:timers/promises";
import { ByteText } from "./byte-text.ts";

/** How long a turn may take, in milliseconds: what a request waits for that comes in the middle of one. */
const TURN_MS = 4;

/**
 * Does long work in short turns, between which the event loop serves whatever else there is. One piece of work follows the
 * other, so that however many are asked for, a turn of the event loop holds one of theirs.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Visits all items in order. Rejects with what a visit throws; the items after it are not visited then. */
  each<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
    const work = this.#last.then(() => visitInTurns(items, visit));
    this.#last = work.catch(() => {});
    return work;
  }

  /** The pieces, one after the other, in UTF-8. Whoever makes them lazily makes them in turns, too. */
  async encode(pieces: Iterable<string>): Promise<readonly Uint8Array[]> {
    const text = new ByteText();
    await this.each(pieces, (piece) => text.write(piece));
    return text.chunks();
  }
}

async function visitInTurns<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
  // What came before it in this turn of the event loop, such as the end of other work, may have taken its whole time.
  await setImmediate();
  let endMs = performance.now() + TURN_MS;
  for (const item of items) {
    visit(item);
    // fault: writes reports in one go
    if (performance.now() < endMs) continue;
    await setImmediate();
    endMs = performance.now() + TURN_MS;
  }
}
