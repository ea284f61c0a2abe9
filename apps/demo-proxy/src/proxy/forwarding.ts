import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ClientIdentity } from "../credentials/client-identity.ts";
import { CredentialsError } from "../credentials/credentials-refusal.ts";
import { readQuestions } from "../tokens/question.ts";
import type { BodyDimension } from "./admission/body-room.ts";
import { Candidates } from "./admission/candidates.ts";
import { admissionOf } from "./admission/client-admission.ts";
import type { Reservation } from "./admission/reservation.ts";
import type { Admitted } from "./admission/route.ts";
import { Answer, type AnswerSource, shownHeaders } from "./answer.ts";
import * as problems from "./answers/problem.ts";
import { brokenBy, cutFor, cutToClient, refusalOf, refusalToClient } from "./answers/refusal.ts";
import { sealProblem } from "./answers/s3-problem.ts";
import { Attempt, isBusy } from "./attempt.ts";
import type { AttemptObserver } from "./attempt-observer.ts";
import type { ExchangeContext } from "./exchange-context.ts";
import type { ForwardingObserver } from "./forwarding-observer.ts";
import { askedHost, askedOrigin } from "./http/forwarded.ts";
import { uncompressed } from "./http/headers.ts";
import { mayBeRepeated } from "./http/repeatable.ts";
import type { Outgoing } from "./outgoing.ts";
import { paced } from "./paced.ts";
import type { RequestBody } from "./request-body.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { Tunnel } from "./websockets/tunnel.ts";
import { isWebSocketOpened } from "./websockets/upgrade.ts";

/** A request on its way: tried at one upstream after the other until one takes it, then piped both ways. */
export class Forwarding implements AttemptObserver, AnswerSource {
  readonly #context: ExchangeContext;
  readonly #request: IncomingMessage;
  readonly #answer: Answer;
  readonly #outgoing: Outgoing;
  readonly #client: ClientIdentity | undefined;
  readonly #observer: ForwardingObserver;
  readonly #candidates: Candidates;
  #attempt: Attempt | undefined;
  #tunnel: Tunnel | undefined;
  #cut: BodyDimension | undefined;
  #failure: Error | undefined;
  #upstream: Upstream | undefined;
  #isSentAgain = false;

  constructor(
    context: ExchangeContext,
    response: ServerResponse,
    outgoing: Outgoing,
    client: ClientIdentity | undefined,
    observer: ForwardingObserver,
  ) {
    this.#context = context;
    this.#request = response.req;
    this.#answer = new Answer(response, this);
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
    this.#answer.dropHead();
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
    return this.#attempt?.started === true && !this.#answer.begun;
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

  get closing(): boolean {
    return this.#context.closing;
  }

  get keepAlive(): string {
    return this.#context.keepAlive;
  }

  resume(): void {
    this.#attempt?.resume();
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

  sendAgain(): boolean {
    // fault: sends again what may take effect twice
    if (this.#outgoing.body !== null || !mayBeRepeated(this.#request)) return false;
    this.#isSentAgain = true;
    this.#tryNext();
    return true;
  }

  unsendable(): void {
    this.#observer.refused(problems.BAD_REQUEST);
  }

  head(status: number, reason: string | undefined, headers: IncomingHttpHeaders): void {
    this.#failure = undefined;
    const [upstream, attempt] = [this.#upstream, this.#attempt];
    if (upstream === undefined || attempt === undefined || (isBusy(status) && this.sendElsewhere(upstream))) return;
    this.#answer.begin(attempt, status, reason, headers);
  }

  data(chunk: Buffer): boolean {
    return this.#answer.data(chunk);
  }

  sendElsewhere(busy: Upstream, responseLength?: number): boolean {
    if (this.#outgoing.body !== null || !mayBeRepeated(this.#request)) return false;
    const admitted = this.#candidates.insteadOf(busy, responseLength);
    if (admitted === undefined) return false;
    this.#attempt?.abort(ignore);
    this.#send(admitted);
    return true;
  }

  paced(headers: string[]): string[] {
    const { quota } = this.#candidates;
    return quota === undefined ? headers : paced(headers, quota, this.#context, this.#request);
  }

  credentialsRefused(upstream: Upstream): void {
    if (this.sendElsewhere(upstream)) return;
    const error = new CredentialsError();
    upstream.traffic.broke(error);
    this.stop(ignore);
    this.#failure = error;
    this.#observer.refused(problems.CREDENTIALS_REFUSED);
  }

  ended(): void {
    this.#answer.finish();
    this.#candidates.end();
    this.#observer.ended();
  }

  starved(): void {
    this.#answer.keepHead();
  }

  noRoom(bytes: number): void {
    this.#cutOff("egressBytes", bytes);
  }

  broken(error: Error): void {
    this.#answer.dropHead();
    this.#failure = error;
    this.#observer.broken(brokenBy(error));
  }

  upgraded(headers: IncomingHttpHeaders, socket: Duplex, reservation: Reservation): Tunnel | undefined {
    const [upstream, request] = [this.#upstream, this.#request];
    if (upstream === undefined || !isWebSocketOpened(request.headers["sec-websocket-key"], headers)) return undefined;
    const opened = this.#observer.opening(this.paced(shownHeaders(upstream, 101, headers, this)));
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
    // One more that was kept may be closed, too.
    // fault: sends again on a kept connection
    const way = { upgrades: this.#outgoing.upgrades, isConnectionNew: this.#isSentAgain };
    upstream.dispatch(known, this.#attempt, way);
  }
}

function ignore(): void {}
