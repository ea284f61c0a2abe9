import type { Duplex } from "node:stream";
import type { TunnelOptions } from "./tunnel.ts";

/** What a client may send before it has its answer, in bytes; it should send nothing. */
const MOST_EARLY_BYTES = 16_384;

/** The connection of a client that has asked for a WebSocket. Whatever it sends before it has one is kept from backends. */
export class UpgradingClient {
  readonly #socket: Duplex;
  readonly #early: Buffer[];
  #bytes: number;

  /** @param head what came right behind the request. */
  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket;
    this.#early = head.length > 0 ? [head] : [];
    this.#bytes = head.length;
    socket.on("error", () => {});
    // Read, so that it is noticed when the client leaves.
    socket.on("data", this.#keep);
  }

  /** Tells the client that its WebSocket is open, by these headers. Undefined where it has left. */
  open(headers: readonly string[]): Pick<TunnelOptions, "client" | "early"> | undefined {
    const client = this.#socket;
    if (client.destroyed) return undefined;
    client.off("data", this.#keep);
    const lines = ["HTTP/1.1 101 Switching Protocols", "connection: Upgrade", "upgrade: websocket"];
    for (let at = 0; at + 1 < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`);
    client.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    return { client, early: this.#early };
  }

  readonly #keep = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > MOST_EARLY_BYTES) this.#socket.pause();
  };
}
