import { randomUUID } from "node:crypto";
import { type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "@usage/counter-core";
import type { ClientUsage } from "../clients/client-usage.ts";
import type { Address } from "../config/address.ts";
import type { ClientConfig, TlsConfig } from "../config/proxy-config.ts";
import { Clients } from "../credentials/clients.ts";
import { showCertificate } from "../listener.ts";
import type { AccessLog } from "./access-entry.ts";
import { GLANCE_MS } from "./admission/reservation.ts";
import type { Router } from "./admission/route.ts";
import { Cors, type CorsOptions } from "./answers/cors.ts";
import { OwnAnswers } from "./answers/own-answers.ts";
import { CONNECT_REFUSED, type Problem, problemText } from "./answers/problem.ts";
import { Exchange } from "./exchange.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "./http/head-limits.ts";
import { VIA } from "./http/headers.ts";
import { keepAliveOf } from "./http/keep-alive.ts";
import { assertTimeouts, type Timeouts } from "./http/timeouts.ts";
import { TrustedProxies } from "./http/trusted-proxies.ts";
import { Lane, lookIntervalMs } from "./lane.ts";
import { createLimitedServer, MAX_PIPELINED, problemOfClientError } from "./limited-server.ts";
import type { Expectation } from "./outgoing.ts";
import { opensWebSocketRightly } from "./websockets/upgrade.ts";
import { UpgradingClient } from "./websockets/upgrading-client.ts";

export interface ProxyServerOptions {
  readonly router: Router;
  readonly timeouts: Timeouts;
  /** @default DEFAULT_HEAD_LIMITS */
  readonly heads?: HeadLimits;
  readonly clock: Clock;
  /** What clients are shown. @default they speak plain HTTP */
  readonly tls?: TlsConfig | undefined;
  /** Is told of every request that is over. @default nobody is */
  readonly accessLog?: AccessLog;
  /** Who may send requests, by keys of the proxy's own. @default anybody */
  readonly clients?: readonly ClientConfig[] | undefined;
  /** What clients use and may use. @default nothing of that is known */
  readonly clientUsage?: ClientUsage;
  /** Which pages of other sites may read what the proxy itself answers. @default none */
  readonly cors?: CorsOptions;
  /** Addresses and networks of the proxies that are believed when they say how a request came to them. @default none */
  readonly trustedProxies?: readonly string[];
}

/** The proxy's listener. Requests of one connection run one after the other, those of different connections side by side. */
export class ProxyServer {
  /** What it answered instead of a backend. */
  readonly ownAnswers: OwnAnswers;
  readonly keepAlive: string;
  readonly trustedProxies: TrustedProxies;
  readonly accessLog: AccessLog | undefined;
  readonly clientUsage: ClientUsage | undefined;
  /** Undefined: anybody. */
  clients: Clients | undefined;
  /** May be changed: for what is open, too. */
  drainGraceMs = 10_000;
  /** So that a request is known that comes back from where this instance has sent it. */
  readonly pseudonym: string = `${VIA}-${randomUUID().slice(0, 8)}`;
  readonly #server: Server;
  readonly #router: Router;
  readonly #clock: Clock;
  readonly #timeouts: Timeouts;
  /** The open connections. */
  readonly #lanes = new Map<Duplex, Lane>();
  /** What was accepted and is not closed, TLS or not. */
  readonly #sockets = new Set<Socket>();
  #running = 0;
  #onIdle: (() => void) | undefined;
  #closing = false;
  #stopWatching: (() => void) | undefined;
  #stopGlancing: (() => void) | undefined;

  /** @throws RangeError for a time-out or a network that is none. */
  constructor(options: ProxyServerOptions) {
    const { router, timeouts, heads = DEFAULT_HEAD_LIMITS, clock, cors, trustedProxies = [] } = options;
    assertTimeouts(timeouts);
    this.keepAlive = keepAliveOf(timeouts);
    this.ownAnswers = new OwnAnswers(this.keepAlive, cors && new Cors(cors));
    this.trustedProxies = new TrustedProxies(trustedProxies);
    this.accessLog = options.accessLog;
    this.clientUsage = options.clientUsage;
    this.setClients(options.clients);
    this.#router = router;
    this.#clock = clock;
    this.#timeouts = timeouts;
    this.#server = createLimitedServer(timeouts, heads, {
      tls: options.tls,
      // Answers must come in order, and what was sent ahead must not be taken for what a WebSocket carries.
      mayUpgrade: (request) =>
        opensWebSocketRightly(request) && this.#lanes.get(request.socket)?.exchanges.length === 0,
    });
    this.#server
      .on("connection", (socket) => this.#keep(socket))
      .on(options.tls ? "secureConnection" : "connection", (socket: Socket) => this.#open(socket))
      .on("request", (request, response) => this.#accept(request, response, "none"))
      .on("checkContinue", (request, response) => this.#accept(request, response, "continue"))
      .on("checkExpectation", (request, response) => this.#accept(request, response, "unknown"))
      .on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head))
      .on("connect", (_request, socket) => this.#refuse(socket, CONNECT_REFUSED))
      .on("clientError", (error, socket) => this.#refuse(socket, problemOfClientError(error)));
  }

  /** Whoever sends a request from now on must be one of them; undefined: anybody may. */
  setClients(clients: readonly ClientConfig[] | undefined): void {
    this.clients = clients && new Clients(clients);
  }

  /** Clients that connect from now on are shown another certificate. A listener without TLS stays so. */
  setCertificate(tls: TlsConfig): void {
    showCertificate(this.#server, tls);
  }

  /** Requests that are being answered. */
  get inFlight(): number {
    return this.#running;
  }

  /** Open connections of clients. */
  get connections(): number {
    return this.#lanes.size;
  }

  get router(): Router {
    return this.#router;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Starts to accept connections; resolves with the address, the port that was chosen for 0 included. */
  async listen(address: Address): Promise<Address> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address.port, address.host, () => {
        server.off("error", reject);
        resolve();
      });
    });
    this.#watchSilence();
    this.#glanceAtReservations();
    const bound = server.address();
    return typeof bound === "object" && bound !== null ? { host: bound.address, port: bound.port } : address;
  }

  /** Stops accepting, lets running requests end for up to `graceMs` milliseconds, then cuts the rest; resolves to how many. */
  async close(options: { readonly graceMs: number }): Promise<{ readonly cut: number }> {
    const { graceMs } = options;
    this.#closing = true;
    // fault: tells nobody of a WebSocket that the proxy shuts down
    for (const lane of this.#lanes.values()) lane.exchanges[0]?.goAway();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(graceMs, resolve);
        this.#onIdle = () => {
          cancel();
          resolve();
        };
      });
    }
    const cut = this.#running;
    this.#server.closeAllConnections();
    // Nor is anybody waited for who has not agreed on TLS.
    // fault: waits at the end for who has not agreed on TLS
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    // Of what was cut the rest is still being counted, for some turns of the event loop.
    // fault: flushes while what was cut is still being counted
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#stopWatching?.();
    this.#stopGlancing?.();
    return { cut };
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #open(socket: Socket): void {
    this.#lanes.set(socket, new Lane(socket, this.#timeouts));
    socket.once("close", () => this.#lanes.delete(socket));
  }

  /** Node has taken its hands off the connection. Until a WebSocket is open, the answer is one like any other. */
  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const response = new ServerResponse(request);
    response.assignSocket(request.socket);
    response.on("finish", () => request.socket.destroySoon());
    socket.on("drain", () => response.emit("drain"));
    this.#accept(request, response, "none", new UpgradingClient(socket, head));
  }

  #accept(
    request: IncomingMessage,
    response: ServerResponse,
    expectation: Expectation,
    upgrading?: UpgradingClient,
  ): void {
    const lane = this.#lanes.get(request.socket);
    if (lane === undefined || lane.exchanges.length >= MAX_PIPELINED) {
      request.socket.destroy();
      return;
    }
    const exchange = new Exchange(this, request, response, expectation, upgrading);
    lane.exchanges.push(exchange);
    if (lane.exchanges.length === 1) this.#run(exchange, lane.exchanges, request.socket);
  }

  #run(exchange: Exchange, queue: Exchange[], socket: Socket): void {
    this.#running += 1;
    exchange.start(() => {
      this.#running -= 1;
      queue.shift();
      // What was sent ahead on a connection that is closing gets no answer, so it must not be carried out.
      if (!socket.writable) queue.length = 0;
      const next = queue[0];
      if (next !== undefined) this.#run(next, queue, socket);
      else if (this.#running === 0) this.#onIdle?.();
    });
  }

  /** Answers what cannot become a request, and closes the connection. */
  #refuse(socket: Duplex, problem: Problem): void {
    socket.on("error", () => {});
    const lane = this.#lanes.get(socket);
    const running = lane?.exchanges[0];
    if (running !== undefined) running.clientBroke(problem);
    else if (socket.writable && lane !== undefined) {
      this.ownAnswers.count(problem.status);
      socket.end(problemText(problem), () => socket.destroy());
    } else socket.destroy();
  }

  #glanceAtReservations(): void {
    this.#stopGlancing = this.#clock.after(GLANCE_MS, () => {
      for (const lane of this.#lanes.values()) lane.exchanges[0]?.glance();
      this.#glanceAtReservations();
    });
  }

  #watchSilence(): void {
    this.#stopWatching = this.#clock.after(lookIntervalMs(this.#timeouts), () => {
      for (const lane of this.#lanes.values()) lane.look();
      this.#watchSilence();
    });
  }
}
