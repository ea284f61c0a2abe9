import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Usage } from "@usage/counter-core";

/** The header by which an upstream is told which proxy asks it. */
export const PROXY_HEADER = "x-demo-proxy";
/** The header by which a client tells an upstream who it is. */
export const CLIENT_HEADER = "x-demo-client";

/** A line of an upstream's own log: a request with what came and went of it so far. */
export interface LogEntry extends Usage {
  /** When something of it was last moved, in milliseconds since the Unix epoch. */
  readonly atMs: number;
  /** Who sent it, or nothing. */
  readonly proxy: string;
  /** For whom, or nothing. */
  readonly client: string;
}

type OpenEntry = { -readonly [K in keyof LogEntry]: LogEntry[K] };

/** An object store of sorts that logs what it does: GET /objects/N answers N bytes, a PUT takes any. */
export class SampleUpstream {
  readonly url: URL;
  readonly log: readonly LogEntry[];
  readonly #server: Server;

  private constructor(server: Server, port: number, log: readonly LogEntry[]) {
    this.#server = server;
    this.log = log;
    this.url = new URL(`http://127.0.0.1:${port}`);
  }

  static async start(): Promise<SampleUpstream> {
    const log: OpenEntry[] = [];
    const server = createServer((request, response) => serve(request, response, log));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error(`no port in ${JSON.stringify(address)}`);
    return new SampleUpstream(server, address.port, log);
  }

  /** What came and went by its log, or by some lines of it. */
  measured(which: (entry: LogEntry) => boolean = () => true): Usage {
    return sum(this.log.filter(which));
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** What all of them used together. */
export function sum(usages: readonly Usage[]): Usage {
  const total = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  for (const { apiRequests, egressBytes, ingressBytes } of usages) {
    total.apiRequests += apiRequests;
    total.egressBytes += egressBytes;
    total.ingressBytes += ingressBytes;
  }
  return total;
}

function serve(request: IncomingMessage, response: ServerResponse, log: OpenEntry[]): void {
  const sentBy = { proxy: headerOf(request, PROXY_HEADER), client: headerOf(request, CLIENT_HEADER) };
  const entry: OpenEntry = { atMs: Date.now(), ...sentBy, apiRequests: 1, egressBytes: 0, ingressBytes: 0 };
  log.push(entry);
  request.on("data", (chunk: Buffer) => {
    entry.atMs = Date.now();
    entry.ingressBytes += chunk.length;
  });
  request.on("end", () => {
    const isGet = request.method === "GET";
    const body = isGet ? object(request.url ?? "") : Buffer.from(`{"stored":${entry.ingressBytes}}\n`);
    entry.atMs = Date.now();
    entry.egressBytes += body.length;
    response.writeHead(200, { "content-length": body.length });
    response.end(body);
  });
}

function headerOf(request: IncomingMessage, name: string): string {
  return String(request.headers[name] ?? "");
}

const LARGEST = Buffer.alloc(256 * 1024, "usage ");

function object(path: string): Buffer {
  const [, size] = /^\/objects\/(\d+)$/.exec(path) ?? [];
  return LARGEST.subarray(0, Number(size ?? 0));
}
