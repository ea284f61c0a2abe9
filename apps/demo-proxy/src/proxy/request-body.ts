import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { Room } from "./admission/body-room.ts";

/** Makes what is sent of what came. Both throw where that cannot be what the client meant. */
export interface BodyDecoder {
  push(chunk: Buffer): Buffer;
  end(): Buffer;
}

/**
 * A request's body as it is handed to the upstream's connection, which reads it at its own pace and destroys it in the end.
 * The request itself stays ours: its connection must survive to carry the answer. Nothing is read before the first
 * `_read`, so an attempt that could not connect leaves the body whole for the next.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  #decoder: BodyDecoder | undefined;
  #onBroken: ((error: Error) => void) | undefined;
  #started = false;
  #hungry = false;
  #received = 0;
  #room: Room | undefined;
  #onNoRoom: ((bytes: number) => void) | undefined;
  #endsThen = false;
  /** What was read ahead of it and not handed on yet. */
  #ahead: Buffer[] = [];
  #aheadBytes = 0;
  #hasEnded = false;
  #onAhead: (() => void) | undefined;
  #isReadingAhead = false;
  /** A piece of it that waits for room. */
  #unpassed: Buffer | undefined;

  constructor(request: IncomingMessage) {
    super({ highWaterMark: 65_536 });
    this.#request = request;
    // What destroyed it reaches the exchange through undici; a stream's error without a listener would end the process.
    this.on("error", () => {});
  }

  /** Whether the upstream could take more than the client has sent. */
  get hungry(): boolean {
    return this.#hungry;
  }

  /** Bytes that the client has sent of it. */
  get received(): number {
    return this.#received;
  }

  /** Bytes of it that the upstream's connection was given. */
  get sent(): number {
    return this.#received - this.readableLength;
  }

  /**
   * From now on no byte is handed on that has no room.
   *
   * @param onNoRoom is told once, that there is none for so many more bytes: the body does not go on then.
   */
  keepWithin(room: Room, onNoRoom: (bytes: number) => void): void {
    this.#room = room;
    this.#onNoRoom = onNoRoom;
  }

  /**
   * Reads its first bytes before anybody else does, for whom it stays whole.
   *
   * @param then gets them: all of it, or `bytes` of them and perhaps some more. Not told where the body is destroyed before.
   */
  readAhead(bytes: number, then: (head: Buffer, isWhole: boolean) => void): void {
    this.#isReadingAhead = true;
    this.#hungry = true;
    this.#onAhead = () => {
      if (!this.#hasEnded && this.#aheadBytes < bytes) return;
      this.#onAhead = undefined;
      this.#isReadingAhead = false;
      this.#hungry = false;
      if (!this.#hasEnded) this.#request.pause();
      const head = Buffer.concat(this.#ahead);
      this.#ahead = [head];
      then(head, this.#hasEnded);
    };
    this.#listen();
    this.#request.resume();
  }

  /** Whether it waits for its client's first bytes, which nobody else reads yet. */
  get isReadingAhead(): boolean {
    return this.#isReadingAhead && !this.destroyed;
  }

  /** From now on what a decoder makes of it is handed on; nothing has been read before. */
  decode(decoder: BodyDecoder | undefined): void {
    this.#decoder = decoder;
  }

  /** @param listener is told that a decoder could not go on: the body does not go on then. */
  onBroken(listener: (error: Error) => void): void {
    this.#onBroken = listener;
  }

  override _read(): void {
    this.#hungry = true;
    if (this.#unpassed !== undefined) return;
    if (!this.#started) this.#listen();
    const [head] = this.#ahead;
    if (head === undefined) {
      this.#request.resume();
      return;
    }
    this.#ahead = [];
    if (head.length > 0) this.#read(head);
    if (this.#hasEnded) this.#end();
    else if (this.#hungry) this.#request.resume();
  }

  #listen(): void {
    this.#started = true;
    this.#request.on("data", (chunk: Buffer) => {
      if (this.destroyed) return;
      this.#received += chunk.length;
      if (this.#onAhead === undefined) {
        this.#read(chunk);
        return;
      }
      this.#ahead.push(chunk);
      this.#aheadBytes += chunk.length;
      this.#onAhead();
    });
    this.#request.on("end", () => {
      this.#hasEnded = true;
      if (this.destroyed) return;
      if (this.#onAhead !== undefined) this.#onAhead();
      // What was read ahead comes before its end.
      else if (this.#ahead.length === 0) this.#end();
    });
  }

  #read(chunk: Buffer): void {
    const decoder = this.#decoder;
    if (decoder === undefined) this.#take(chunk);
    else this.#decode(() => decoder.push(chunk));
  }

  #end(): void {
    this.#hungry = false;
    const decoder = this.#decoder;
    if (decoder !== undefined && !this.#decode(() => decoder.end())) return;
    if (this.#unpassed === undefined) this.push(null);
    else this.#endsThen = true;
  }

  #take(chunk: Buffer): void {
    if (this.#room?.take(chunk.length) === false) void this.#await(this.#room, chunk);
    else this.#pass(chunk);
  }

  /** @returns whether the body goes on. */
  #decode(make: () => Buffer): boolean {
    try {
      const made = make();
      if (made.length > 0) this.#take(made);
      return true;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#decoder = undefined;
      this.#hungry = false;
      this.#request.pause();
      this.#onBroken?.(error);
      return false;
    }
  }

  #pass(chunk: Buffer): void {
    this.#hungry = this.push(chunk);
    if (!this.#hungry) this.#request.pause();
  }

  async #await(room: Room, chunk: Buffer): Promise<void> {
    this.#unpassed = chunk;
    this.#hungry = false;
    this.#request.pause();
    const hasRoom = await room.takeSoon(chunk.length);
    if (this.destroyed) return;
    if (!hasRoom) {
      this.#onNoRoom?.(chunk.length);
      return;
    }
    this.#unpassed = undefined;
    this.#pass(chunk);
    if (this.#endsThen) this.push(null);
    else if (this.#hungry) this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#hungry = false;
    callback(error);
  }
}
