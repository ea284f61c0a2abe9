import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

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

  override _read(): void {
    this.#hungry = true;
    if (this.#started) {
      this.#request.resume();
      return;
    }
    this.#started = true;
    this.#request.on("data", (chunk: Buffer) => {
      if (this.destroyed) return;
      this.#received += chunk.length;
      this.#hungry = this.push(chunk);
      if (!this.#hungry) this.#request.pause();
    });
    this.#request.on("end", () => {
      this.#hungry = false;
      if (!this.destroyed) this.push(null);
    });
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#hungry = false;
    callback(error);
  }
}
