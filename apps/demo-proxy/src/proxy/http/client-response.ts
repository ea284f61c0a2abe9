import type { ServerResponse } from "node:http";
import { reasonPhrase } from "./reason-phrase.ts";

/** Above this, making text of a body takes longer than a write of two pieces. */
const SMALL_BYTES = 4_096;

/**
 * A backend's response on its way to the client. Its head waits for the first bytes of its body, to leave in one packet with
 * them; until then, another answer can take its place.
 */
export class ClientResponse {
  protected readonly response: ServerResponse;
  #held: string[] | undefined;
  #status = 0;
  #reason: string | undefined;
  #bodyBytes: number | undefined;
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
   * @param bodyBytes how long its body is: it follows its head. One of unknown length may keep the client waiting for its first byte.
   */
  head(status: number, reason: string | undefined, headers: string[], bodyBytes: number | undefined): void {
    this.#held = headers;
    this.#status = status;
    this.#reason = reason;
    this.#bodyBytes = bodyBytes;
    this.#isKept = false;
    if (bodyBytes === undefined) process.nextTick(sendHead, this);
  }

  /** @returns whether the client's connection takes more. */
  write(chunk: Buffer): boolean {
    const isWhole = this.#held !== undefined && chunk.length === this.#bodyBytes;
    this.#writeHead();
    return isWhole && chunk.length <= SMALL_BYTES ? writeAsText(this.response, chunk) : this.response.write(chunk);
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

/**
 * Writes a head and all of its body as one text, whose characters are bytes: it leaves as one piece, at once. Beside a buffer, the
 * head would be a piece of its own, and node would keep both until the next tick.
 */
function writeAsText(response: ServerResponse, body: Buffer): boolean {
  const { socket } = response;
  socket?.cork();
  const takesMore = response.write(body.toString("latin1"), "latin1");
  socket?.uncork();
  return takesMore;
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
