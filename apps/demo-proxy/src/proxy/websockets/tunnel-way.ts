import type { Duplex } from "node:stream";
import type { Room } from "../admission/body-room.ts";
import { Frames } from "./frames.ts";

export interface TunnelWayOptions {
  readonly source: Duplex;
  readonly sink: Duplex;
  /** Of the direction's bytes. */
  readonly room: Room;
  /** There is no room for so many more bytes: they must not pass. */
  readonly onNoRoom: (bytes: number) => void;
  /** What was to be the last has been passed on, or can never be. */
  readonly onClosed: () => void;
  /** Whether what came and does not pass has been used all the same: the backend has sent it. */
  readonly countsUnpassed: boolean;
}

/**
 * One direction of a tunnel: passes bytes on as they come, no faster than they are read, and counts them. What has no room waits for it
 * a while.
 */
export class TunnelWay {
  readonly #options: TunnelWayOptions;
  readonly #frames = new Frames();
  /** What waits for room. */
  #waiting: Buffer[] | undefined;
  #endsThen = false;
  /** Goes out as soon as the frame that is under way has ended. */
  #last: Buffer | undefined;
  #closed = false;
  #passed = 0;
  #came = 0;

  constructor(options: TunnelWayOptions) {
    this.#options = options;
  }

  /** Bytes that were passed on. */
  get passed(): number {
    return this.#passed;
  }

  /** Bytes that came. */
  get came(): number {
    return this.#came;
  }

  /** @param early what came before. */
  start(early: readonly Buffer[]): void {
    const { source, sink } = this.#options;
    for (const chunk of early) this.#take(chunk);
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.on("end", () => this.#end());
    if (source.readableEnded) this.#end();
    sink.on("drain", () => {
      if (this.#waiting === undefined) source.resume();
    });
    if (this.#waiting !== undefined || sink.writableNeedDrain) source.pause();
    else source.resume();
  }

  /** Nothing passes any more but the rest of the frame that is under way, and then this frame. */
  close(last: Buffer): void {
    if (this.#closed || this.#last !== undefined) return;
    this.#last = last;
    // Where the frame has no room, the connection breaks off.
    if (this.#waiting !== undefined && !this.#frames.between) this.abandon();
    else this.#closeBetweenFrames();
  }

  /** Nothing passes any more: whoever reads finds the connection broken off. */
  abandon(): void {
    this.#drop();
    this.#options.sink.destroy();
  }

  /** Counts what waits and will not pass. Nothing passes any more. */
  #drop(): void {
    this.#closed = true;
    for (const chunk of this.#waiting ?? []) this.#countUnpassed(chunk);
    this.#waiting = undefined;
    this.#options.source.resume();
  }

  /** The other side has left: what comes now is only counted. */
  stop(): void {
    this.#drop();
  }

  #take(chunk: Buffer): void {
    this.#came += chunk.length;
    if (this.#closed) this.#countUnpassed(chunk);
    else if (this.#waiting !== undefined) this.#waiting.push(chunk);
    else if (this.#options.room.take(chunk.length)) this.#pass(chunk);
    else void this.#await(chunk);
  }

  async #await(first: Buffer): Promise<void> {
    const { source, room, onNoRoom } = this.#options;
    const waiting = [first];
    this.#waiting = waiting;
    source.pause();
    for (;;) {
      const [chunk] = waiting;
      if (chunk === undefined) break;
      const isHeld = await room.takeSoon(chunk.length);
      // Whoever has closed it meanwhile has counted what waited.
      if (this.#waiting !== waiting) return;
      if (!isHeld) {
        onNoRoom(chunk.length);
        return;
      }
      waiting.shift();
      this.#pass(chunk);
    }
    this.#waiting = undefined;
    if (this.#endsThen) this.#end();
    else if (!this.#options.sink.writableNeedDrain) source.resume();
  }

  #pass(chunk: Buffer): void {
    const { source, sink, room } = this.#options;
    const closing = this.#last !== undefined;
    const bytes = this.#frames.read(chunk, closing);
    const passing = bytes === chunk.length ? chunk : chunk.subarray(0, bytes);
    // fault: counts nothing of what a WebSocket carries
    room.count(passing.length);
    this.#passed += passing.length;
    const goesOn = sink.write(passing);
    if (!closing) {
      // fault: reads on from a WebSocket whatever the other side reads
      if (!goesOn) {
        source.pause();
      }
      return;
    }
    if (bytes < chunk.length) this.#countUnpassed(chunk.subarray(bytes));
    this.#closeBetweenFrames();
  }

  #closeBetweenFrames(): void {
    if (this.#closed || this.#last === undefined || !this.#frames.between) return;
    const { sink, onClosed } = this.#options;
    this.#drop();
    sink.write(this.#last);
    onClosed();
  }

  #countUnpassed(chunk: Buffer): void {
    if (this.#options.countsUnpassed) this.#options.room.count(chunk.length);
  }

  #end(): void {
    if (this.#waiting !== undefined) this.#endsThen = true;
    else if (!this.#closed) {
      this.#closed = true;
      this.#options.sink.end();
      if (this.#last !== undefined) this.#options.onClosed();
    }
  }
}
