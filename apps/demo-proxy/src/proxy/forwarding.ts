import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ClientIdentity } from "../credentials/client-identity.ts";
import { CredentialsError, type CredentialsRefusal } from "../credentials/credentials-refusal.ts";
import { readQuestions } from "../tokens/question.ts";
import { Attempt, isBusy } from "./attempt.ts";
import type { AttemptObserver } from "./attempt-observer.ts";
import type { BodyDimension } from "./body-room.ts";
import { Candidates } from "./candidates.ts";
import { admissionOf } from "./client-admission.ts";
import { ClientResponse } from "./client-response.ts";
import type { ExchangeContext } from "./exchange-context.ts";
import { askedHost, askedOrigin } from "./forwarded.ts";
import { responseHeaders, uncompressed } from "./headers.ts";
import type { Outgoing } from "./outgoing.ts";
import * as problems from "./problem.ts";
import { brokenBy, cutFor, cutToClient, refusalOf, refusalToClient } from "./refusal.ts";
import { mayBeRepeated } from "./repeatable.ts";
import type { RequestBody } from "./request-body.ts";
import type { Reservation } from "./reservation.ts";
import type { Admitted } from "./route.ts";
import { sealProblem } from "./s3-problem.ts";
import { Tunnel, type TunnelOptions } from "./tunnel.ts";
import { isWebSocketOpened } from "./upgrade.ts";
import type { Upstream } from "./upstream.ts";
import type { Addressee } from "./upstream-addresses.ts";

/** The client's side of a forwarding: learns how it ended. */
export interface ForwardingObserver {
  /** Whether the client has its whole answer. */
  readonly answered: boolean;
  /** An upstream is about to be sent the request. */
  started(): void;
  /** The upstream's whole answer has been written. */
  ended(): void;
  /** No upstream gives an answer that the client may have: it gets this one. */
  refused(problem: problems.Problem): void;
  /** A backend has opened a WebSocket. Tells the client so by these headers, and whom it is for; undefined where that one is gone. */
  opening(headers: readonly string[]): Pick<TunnelOptions, "client" | "early"> | undefined;
  /** The answer breaks off, or is this one where nothing of it was sent. */
  broken(problem: problems.Problem): void;
}

/** A request on its way: tried at one upstream after the other until one could be connected to, then piped both ways. */
export class Forwarding implements AttemptObserver, Addressee {
  readonly #context: ExchangeContext;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #forwarded: ClientResponse;
  readonly #outgoing: Outgoing;
  readonly #client: ClientIdentity | undefined;
  readonly #observer: ForwardingObserver;
  readonly #candidates: Candidates;
  #attempt: Attempt | undefined;
  #tunnel: Tunnel | undefined;
  /** Whether the answer that has begun may be one to the proxy's own credentials. */
  #refusal: CredentialsRefusal | undefined;
  #cut: BodyDimension | undefined;
  #failure: Error | undefined;
  #drains = false;
  #upstream: Upstream | undefined;

  constructor(
    context: ExchangeContext,
    response: ServerResponse,
    outgoing: Outgoing,
    client: ClientIdentity | undefined,
    observer: ForwardingObserver,
  ) {
    this.#context = context;
    this.#request = response.req;
    this.#response = response;
    this.#forwarded = new ClientResponse(response);
    this.#outgoing = outgoing;
    this.#client = client;
    this.#observer = observer;
    const demand = context.router.priced(outgoing.demand);
    this.#candidates = new Candidates(context.router, demand, admissionOf(context, client));
  }

  start(): void {
    const begins = (): void => this.#observer.started();
    readQuestions(this.#context.router, this.#outgoing, begins, (questions) => {
      if (questions !== undefined) this.#candidates.ask(questions);
      this.#tryNext();
    });
  }

  /** @param over called once nothing more will be counted of it. */
  stop(over: () => void): void {
    // fault: keeps looking for room for a client that has gone away
    this.#candidates.stop();
    this.#forwarded.dropHead();
    const done = (): void => {
      this.#candidates.end();
      this.dropBody();
      over();
    };
    if (this.#attempt === undefined) done();
    else this.#attempt.abort(done);
  }

  /** The upstream gets no more of the client's body. */
  dropBody(): void {
    this.#outgoing.body?.destroy();
  }

  /** The last one that was asked. */
  get upstream(): Upstream | undefined {
    return this.#upstream;
  }

  /** Why the last attempt could not connect, or broke. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Of which body not all has passed, since there was no room for it. */
  get cut(): BodyDimension | undefined {
    return this.#cut;
  }

  /** Bytes of the answer's body that came from the upstream. */
  get egressBytes(): number {
    return this.#tunnel?.egressBytes ?? this.#attempt?.egressBytes ?? 0;
  }

  /** Whether an upstream is being sent the request, or has been, and has not begun its response. */
  get awaitsResponse(): boolean {
    if (this.#outgoing.body?.isReadingAhead) return true;
    return this.#attempt?.started === true && !this.#forwarded.begun;
  }

  /** The WebSocket that the request has opened. */
  get tunnel(): Tunnel | undefined {
    return this.#tunnel;
  }

  /** The client's body on its way to the upstream; null for none. */
  get upload(): RequestBody | null {
    return this.#outgoing.body;
  }

  /** To be called every `GLANCE_MS`. */
  glance(): void {
    this.#attempt?.glance();
  }

  /** The upstream has left the exchange waiting for too long. */
  upstreamSilent(): void {
    this.#attempt?.upstreamSilent();
  }

  get askedOrigin(): string | undefined {
    return askedOrigin(this.#request, this.#context.trustedProxies.trusts(this.#request.socket));
  }

  get claimedOrigin(): string | undefined {
    return this.#request.headers.origin;
  }

  started(): void {
    this.#observer.started();
  }

  passedOver(upstream: Upstream, error: Error): void {
    this.#failure = error;
    this.#candidates.passOver(upstream);
    this.#tryNext();
  }

  unsendable(): void {
    this.#observer.refused(problems.BAD_REQUEST);
  }

  head(status: number, reason: string | undefined, headers: IncomingHttpHeaders): void {
    this.#failure = undefined;
    const [response, upstream] = [this.#response, this.#upstream];
    if (upstream === undefined || (isBusy(status) && this.#sendElsewhere(upstream))) return;
    // fault: tells clients what a backend says of the proxy's credentials
    this.#refusal = upstream.credentials?.refusalIn(status, headers);
    if (this.#refusal?.isCertain) {
      this.#credentialsRefused(upstream);
      return;
    }
    const forwarded = responseHeaders(
      upstream.credentials?.shown(headers) ?? headers,
      status,
      upstream.addresses,
      this,
    );
    const length = headers["content-length"];
    const carriesBody = this.#request.method !== "HEAD" && status !== 204 && status !== 304;
    if (this.#context.closing) response.shouldKeepAlive = false;
    // A response of known length follows its head; another may keep the client waiting for its first byte.
    const pass = (): void => {
      this.#forwarded.head(status, reason, forwarded, !carriesBody || length !== undefined);
      // What the answer is about may only show in its body.
      if (carriesBody && this.#refusal !== undefined) this.#forwarded.keepHead();
    };
    const attempt = this.#attempt;
    if (!carriesBody || length === undefined || attempt?.expectEgress(Number(length)) !== false) pass();
    else if (!this.#sendElsewhere(upstream, Number(length))) attempt.expectSoon(Number(length), pass);
  }

  data(chunk: Buffer): boolean {
    if (this.#refusal !== undefined && this.#upstream !== undefined) {
      const isRefusal = this.#refusal.isIn(chunk);
      this.#refusal = undefined;
      if (isRefusal) {
        this.#credentialsRefused(this.#upstream);
        return false;
      }
    }
    if (this.#forwarded.write(chunk)) return true;
    if (!this.#drains) {
      this.#drains = true;
      this.#response.on("drain", () => this.#attempt?.resume());
    }
    return false;
  }

  /** The client is well known, and the backend does not know the proxy: what it says of that is none of the client's business. */
  #credentialsRefused(upstream: Upstream): void {
    this.#forwarded.dropHead();
    if (this.#sendElsewhere(upstream)) return;
    const error = new CredentialsError();
    upstream.traffic.broke(error);
    this.stop(ignore);
    this.#failure = error;
    this.#observer.refused(problems.CREDENTIALS_REFUSED);
  }

  ended(): void {
    this.#forwarded.finish();
    this.#candidates.end();
    this.#observer.ended();
  }

  starved(): void {
    this.#forwarded.keepHead();
  }

  noRoom(bytes: number): void {
    this.#cutOff("egressBytes", bytes);
  }

  broken(error: Error): void {
    this.#forwarded.dropHead();
    this.#failure = error;
    this.#observer.broken(brokenBy(error));
  }

  upgraded(headers: IncomingHttpHeaders, socket: Duplex, reservation: Reservation): Tunnel | undefined {
    const [upstream, request] = [this.#upstream, this.#request];
    if (upstream === undefined || !isWebSocketOpened(request.headers["sec-websocket-key"], headers)) return undefined;
    const opened = this.#observer.opening(
      responseHeaders(upstream.credentials?.shown(headers) ?? headers, 101, upstream.addresses, this),
    );
    if (opened === undefined) return undefined;
    this.#tunnel = new Tunnel({
      ...opened,
      upstream: socket,
      reservation,
      clock: this.#context.clock,
      observer: {
        noRoom: (dimension, bytes) => {
          this.#cut = dimension;
          const byClient = this.#candidates.cutByClient(dimension, bytes);
          return (byClient?.client ?? this.#context.router.cut(upstream, dimension, bytes)).reason;
        },
        broken: (error) => {
          upstream.traffic.broke(error);
          this.#failure = error;
        },
      },
    });
    return this.#tunnel;
  }

  /** There is no room for so many more bytes of a body: nothing further passes. */
  #cutOff(dimension: BodyDimension, bytes: number): void {
    const [upstream, request] = [this.#upstream, this.#request];
    if (upstream === undefined || this.#observer.answered) return;
    this.#cut = dimension;
    const { router, clock } = this.#context;
    const byClient = this.#candidates.cutByClient(dimension, bytes);
    const problem =
      byClient === undefined
        ? cutFor(dimension, router.cut(upstream, dimension, bytes), request, clock)
        : cutToClient(dimension, byClient, request, clock);
    this.stop(ignore);
    this.#observer.broken(problem);
  }

  /** The body is not what its client has signed: the backend gets no more of it. */
  #refuseBody(error: Error): void {
    if (this.#observer.answered) return;
    this.stop(ignore);
    this.#observer.broken(sealProblem(error));
  }

  #tryNext(): void {
    this.#candidates.next((routed) => {
      if (routed.upstream !== undefined) this.#send(routed);
      else if ("client" in routed) this.#observer.refused(refusalToClient(routed, this.#context.clock));
      else this.#observer.refused(refusalOf(routed, this.#failure, this.#context.clock));
    });
  }

  /** Leaves an upstream that is too busy, or has no room for so long an answer, for one that is well, where the request may be sent again. */
  #sendElsewhere(busy: Upstream, responseLength?: number): boolean {
    if (this.#outgoing.body !== null || !mayBeRepeated(this.#request)) return false;
    const admitted = this.#candidates.insteadOf(busy, responseLength);
    if (admitted === undefined) return false;
    this.#attempt?.abort(ignore);
    this.#send(admitted);
    return true;
  }

  #send({ upstream, reservation, meter }: Admitted): void {
    const { path, headers, body } = this.#outgoing;
    this.#upstream = upstream;
    this.#attempt = new Attempt(upstream, reservation, this, meter);
    const request = this.#request;
    if (this.#context.router.exact !== undefined) {
      body?.keepWithin(reservation.ingress, (bytes) => this.#cutOff("ingressBytes", bytes));
    }
    const sent = {
      method: request.method ?? "GET",
      path: upstream.pathFor(path),
      // An answer that is compressed could not be read.
      headers: upstream.headersFor(meter?.readsAnswer ? uncompressed(headers) : headers, askedHost(request)),
      body,
    };
    body?.onBroken((error) => this.#refuseBody(error));
    const known = upstream.withCredentials(sent, this.#client);
    upstream.dispatch(this.#outgoing.upgrades ? { ...known, upgrade: "websocket" } : known, this.#attempt);
  }
}

function ignore(): void {}
