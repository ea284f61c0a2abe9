import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { type Dispatcher, Pool } from "undici";
import { serve, upstreamOrigin } from "./serve.ts";

/**
 * The plainest streaming pipe that is still a proxy: method, target, end-to-end headers and body of each message, with
 * back-pressure and errors both ways. No routing, counting, limits, `Via`, `X-Forwarded-*`, time-outs or checks of its own.
 */
const pool = new Pool(upstreamOrigin(), { connections: null, pipelining: 1 });
const server = createServer((request, response) => pipe(request, response));
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) serve(address);
});

const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "host",
]);

function pipe(request: IncomingMessage, response: ServerResponse): void {
  const { method = "GET", url = "/", headers } = request;
  const hasBody = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  pool.dispatch({ method, path: url, headers: endToEnd(headers), body: hasBody ? request : null }, new Pipe(response));
}

class Pipe implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#response
      .on("drain", () => controller.resume())
      .on("close", () => {
        if (!this.#response.writableFinished) controller.abort(new Error("the client went away"));
      });
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status >= 200) this.#response.writeHead(status, endToEnd(headers));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#response.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
  }
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const forwarded: IncomingHttpHeaders = {};
  for (const name in headers) if (!HOP_BY_HOP.has(name)) forwarded[name] = headers[name];
  return forwarded;
}
