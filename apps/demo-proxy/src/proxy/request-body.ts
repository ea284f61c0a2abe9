import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { BodyRoom } from "./body-room.ts";

/**
 * A request's body as it is handed to the upstream's connection, which reads it at its own pace and destroys it in the end.
 * The request itself stays ours: its connection must survive to carry the answer. Nothing is read before the first
 * `_read`, so an attempt that could not connect leaves the body whole for the next.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  #started = false;
  #hungry = false;
  #received = 0;
  #room: BodyRoom | undefined;
  #onNoRoom: ((bytes: number) => void) | undefined;
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
  keepWithin(room: BodyRoom, onNoRoom: (bytes: number) => void): void {
    this.#room = room;
    this.#onNoRoom = onNoRoom;
  }

  override _read(): void {
    this.#hungry = true;
    if (this.#unpassed !== undefined) return;
    if (this.#started) {
      this.#request.resume();
      return;
    }
    this.#started = true;
    this.#request.on("data", (chunk: Buffer) => {
      if (this.destroyed) return;
      this.#received += chunk.length;
      if (this.#room?.take(chunk.length) === false) void this.#await(this.#room, chunk);
      else this.#pass(chunk);
    });
    this.#request.on("end", () => {
      this.#hungry = false;
      if (!this.destroyed) this.push(null);
    });
  }

  #pass(chunk: Buffer): void {
    this.#hungry = this.push(chunk);
    if (!this.#hungry) this.#request.pause();
  }

  async #await(room: BodyRoom, chunk: Buffer): Promise<void> {
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
    if (this.#hungry) this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#hungry = false;
    callback(error);
  }
}
