import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Usage } from "@usage/counter-core";

/** Of what one request's body brings at most. */
export const LARGEST_BYTES: number = 256 * 1024;
/** Longer than a proxy keeps a connection that it does not use. */
const KEEP_ALIVE_MS = 120_000;
const LARGEST = Buffer.alloc(LARGEST_BYTES, "usage ");

/**
 * An upstream that measures itself. `GET /?bytes=N` answers N bytes; with `&hold=M` only M of them, and then nothing until the
 * connection ends. A PUT takes any; with `?id=` it can be asked how much of it has arrived.
 */
export class SoakUpstream {
  readonly url: URL;
  readonly #server: Server;
  readonly #measured = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  readonly #uploads = new Map<string, number>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = new URL(`http://127.0.0.1:${port}`);
    server.on("request", (request, response) => this.#serve(request, response));
  }

  static async start(): Promise<SoakUpstream> {
    // Of a request that comes as its connection closes nobody knows whether it was read: it would be sent, and counted, twice.
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error(`no port in ${JSON.stringify(address)}`);
    return new SoakUpstream(server, address.port);
  }

  /** What came and went, by its own account. */
  measured(): Usage {
    return { ...this.#measured };
  }

  /** How much of an upload has arrived. */
  received(id: string): number {
    return this.#uploads.get(id) ?? 0;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.#measured.apiRequests += 1;
    const { searchParams } = new URL(request.url ?? "/", this.url);
    const id = searchParams.get("id");
    let received = 0;
    request.on("data", (chunk: Buffer) => {
      received += chunk.length;
      this.#measured.ingressBytes += chunk.length;
      if (id !== null) this.#uploads.set(id, received);
    });
    request.on("close", () => this.#uploads.delete(id ?? ""));
    request.on("error", () => {});
    request.on("end", () => {
      const bytes = Number(searchParams.get("bytes") ?? 2);
      const hold = searchParams.get("hold");
      const body = LARGEST.subarray(0, hold === null ? bytes : Number(hold));
      this.#measured.egressBytes += body.length;
      response.writeHead(200, { "content-length": bytes });
      if (hold === null) response.end(body);
      else response.write(body);
    });
  }
}
