import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { StorageDimension, Usage } from "@usage/counter-core";

/** An object store of sorts that measures itself: GET /objects/N answers N bytes, a PUT takes any. */
export class SampleUpstream {
  readonly url: URL;
  readonly #server: Server;
  readonly #measured: Record<StorageDimension, number>;

  private constructor(server: Server, port: number, measured: Record<StorageDimension, number>) {
    this.#server = server;
    this.#measured = measured;
    this.url = new URL(`http://127.0.0.1:${port}`);
  }

  static async start(): Promise<SampleUpstream> {
    const measured = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
    const server = createServer((request, response) => serve(request, response, measured));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error(`no port in ${JSON.stringify(address)}`);
    return new SampleUpstream(server, address.port, measured);
  }

  /** What came and went, by its own account. */
  measured(): Usage {
    return { ...this.#measured };
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function serve(request: IncomingMessage, response: ServerResponse, measured: Record<StorageDimension, number>): void {
  measured.apiRequests += 1;
  let received = 0;
  request.on("data", (chunk: Buffer) => {
    received += chunk.length;
    measured.ingressBytes += chunk.length;
  });
  request.on("end", () => {
    const body = request.method === "GET" ? object(request.url ?? "") : Buffer.from(`{"stored":${received}}\n`);
    measured.egressBytes += body.length;
    response.writeHead(200, { "content-length": body.length });
    response.end(body);
  });
}

const LARGEST = Buffer.alloc(256 * 1024, "usage ");

function object(path: string): Buffer {
  const [, size] = /^\/objects\/(\d+)$/.exec(path) ?? [];
  return LARGEST.subarray(0, Number(size ?? 0));
}
