import type { ServerResponse } from "node:http";
import { reasonPhrase } from "./reason-phrase.ts";

/**
 * A backend's response on its way to the client. Its head waits for the first bytes of its body, to leave in one packet with
 * them; until then, another answer can take its place.
 */
export class ClientResponse {
  protected readonly response: ServerResponse;
  #held: string[] | undefined;
  #status = 0;
  #reason: string | undefined;
  #isKept = false;

  constructor(response: ServerResponse) {
    this.response = response;
  }

  /** Whether there is a head, sent or not. */
  get begun(): boolean {
    return this.#held !== undefined || this.response.headersSent;
  }

  /**
   * @param headers `name, value, name, value, ...`, characters being bytes.
   * @param waits whether the head may wait for as long as the first bytes take.
   */
  head(status: number, reason: string | undefined, headers: string[], waits: boolean): void {
    this.#held = headers;
    this.#status = status;
    this.#reason = reason;
    this.#isKept = false;
    if (!waits) process.nextTick(sendHead, this);
  }

  /** @returns whether the client's connection takes more. */
  write(chunk: Buffer): boolean {
    this.#writeHead();
    return this.response.write(chunk);
  }

  /** There is no more of it. */
  finish(): void {
    this.#writeHead();
  }

  /** A head that is not sent yet waits for the first bytes of its body, for as long as they take: they may find no room. */
  keepHead(): void {
    this.#isKept = true;
  }

  /** A head that waits does so no longer, and is not sent. */
  dropHead(): void {
    this.#held = undefined;
  }

  sendHead(): void {
    if (this.#held === undefined || this.#isKept) return;
    this.#writeHead();
    flushHead(this.response);
  }

  #writeHead(): void {
    if (this.#held === undefined) return;
    const headers = this.#held;
    this.#held = undefined;
    this.response.writeHead(this.#status, reasonPhrase(this.#reason), headers);
  }
}

function sendHead(response: ClientResponse): void {
  response.sendHead();
}

/**
 * Ends a response so that its client cannot take what came of it for a whole one. Of a body that ends with its connection only a
 * reset shows that.
 */
export function breakOff(response: ServerResponse): void {
  // fault: ends a body that only its connection ends as if it were whole
  if (response.req.httpVersion === "1.0") response.socket?.resetAndDestroy();
  response.destroy();
}

/** Sends a head that has been written, byte for byte; node's own `flushHeaders` would encode it as UTF-8. */
export function flushHead(response: ServerResponse): void {
  response.write("", "latin1");
}
