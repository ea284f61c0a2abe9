import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Address } from "../config/address.ts";
import type { TlsConfig } from "../config/proxy-config.ts";
import { createListener, showCertificate } from "../listener.ts";
import { writeBody } from "./answer-body.ts";
import { rebase } from "./base-path.ts";
import type { Guard } from "./guard.ts";
import { readJsonBody } from "./json-body.ts";
import { type Answer, refuse, type StreamAnswer } from "./problem.ts";
import { dispatch, type Route } from "./routes.ts";

// Small requests from few clients: far below what node allows by default.
const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  // How often node looks whether one of the two is over: 30 s unless told.
  connectionsCheckingInterval: 500,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 16_384,
} as const;

const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
} as const;

export interface AdminServerOptions {
  readonly routes: readonly Route[];
  readonly guard: Guard;
  /** What clients are shown. @default they speak plain HTTP */
  readonly tls?: TlsConfig | undefined;
  /** Paths under which another server shows this one, with a slash at both ends. @default none */
  readonly basePaths?: readonly string[];
  /** How long a client may read nothing of its answer before it is cut off, in milliseconds; for a slow one see `ReaderSilence`. @default 30_000 */
  readonly silenceMs?: number;
}

/** The operators' HTTP server: a table of routes behind a guard. */
export class AdminServer {
  readonly #server: Server;
  readonly #routes: readonly Route[];
  readonly #guard: Guard;
  readonly #rebase: ReturnType<typeof rebase>;
  readonly #silenceMs: number;
  readonly #sockets = new Set<Socket>();

  constructor(options: AdminServerOptions) {
    this.#routes = options.routes;
    this.#guard = options.guard;
    this.#rebase = rebase(options.basePaths ?? [], options.routes);
    this.#silenceMs = options.silenceMs ?? 30_000;
    // fault: looks for slow heads as rarely as node does
    this.#server = createListener({ ...LIMITS, tls: options.tls, handshakeMs: LIMITS.headersTimeout });
    this.#server
      .on("request", (request, response) => void this.#respond(request, response))
      .on("connection", (socket) => {
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
      });
  }

  /** Clients that connect from now on are shown another certificate. A listener without TLS stays so. */
  setCertificate(tls: TlsConfig): void {
    showCertificate(this.#server, tls);
  }

  /** Resolves to where it listens, with the port that port 0 became. Rejects with node's error when it cannot. */
  async listen({ host, port }: Address): Promise<Address> {
    this.#server.listen({ host, port });
    await once(this.#server, "listening");
    const bound = this.#server.address();
    return { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
  }

  /** Ends the listener and every connection to it. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    // Nor is anybody waited for who has not agreed on TLS.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request);
    // A body that nobody reads must not be taken for the next request.
    const close = request.complete ? {} : { connection: "close" };
    const headers = { ...SECURITY_HEADERS, ...answer.headers, ...close };
    if ("stream" in answer) {
      response.writeHead(answer.status, headers);
      response.flushHeaders();
      if (request.method === "HEAD") response.end();
      else answer.stream(response);
      return;
    }
    const body = bytesOf(answer);
    const length = body.reduce((sum, { byteLength }) => sum + byteLength, 0);
    response.writeHead(answer.status, { ...headers, "content-length": length });
    await writeBody(response, body, this.#silenceMs);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { method = "", url = "", headers } = request;
    try {
      const rebased = this.#rebase(url);
      if ("answer" in rebased) return rebased.answer;
      const { target } = rebased;
      const address = request.socket.remoteAddress ?? "";
      const asked = { method, headers, address, readJson: () => readJsonBody(request) };
      return this.#guard({ method, target, headers }) ?? (await dispatch(this.#routes, asked, target));
    } catch (error) {
      const detail = error instanceof Error ? error.message : "Something that is not an error was thrown.";
      return refuse({ status: 500, title: "Internal error", detail });
    }
  }
}

function bytesOf(answer: Exclude<Answer, StreamAnswer>): readonly Uint8Array[] {
  if ("bytes" in answer) return answer.bytes;
  return [Buffer.from("text" in answer ? answer.text : `${JSON.stringify(answer.body)}\n`)];
}
