import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@usage/counter-core";
import type { ClientIdentity } from "../credentials/client-identity.ts";
import type { Clients } from "../credentials/clients.ts";
import { CredentialsError, type CredentialsRefusal } from "../credentials/credentials-refusal.ts";
import { type AccessEntry, type AccessLog, accessEntry } from "./access-entry.ts";
import { Attempt, type AttemptObserver, isBusy } from "./attempt.ts";
import type { BodyDimension } from "./body-room.ts";
import { Candidates } from "./candidates.ts";
import { breakOff, ClientResponse } from "./client-response.ts";
import { askedHost, askedOrigin, calledHosts } from "./forwarded.ts";
import { type BodyLength, bodyLengthOf } from "./framing.ts";
import { responseHeaders } from "./headers.ts";
import { endResponse, isBodyPending } from "./linger.ts";
import { type Expectation, type Outgoing, outgoingRequest } from "./outgoing.ts";
import type { OwnAnswers } from "./own-answers.ts";
import * as problems from "./problem.ts";
import { brokenBy, cutFor, refusalOf } from "./refusal.ts";
import { mayBeRepeated } from "./repeatable.ts";
import type { RequestBody } from "./request-body.ts";
import type { Admitted, Router } from "./route.ts";
import { sealProblem } from "./s3-problem.ts";
import type { TrustedProxies } from "./trusted-proxies.ts";
import { offersUpgrade } from "./upgrade.ts";
import type { Upstream } from "./upstream.ts";
import type { Addressee } from "./upstream-addresses.ts";

/** What the exchanges of one server share. */
export interface ExchangeContext {
  readonly router: Router;
  readonly clock: Clock;
  /** Whether the server is shutting down: connections are not kept alive. */
  readonly closing: boolean;
  readonly ownAnswers: OwnAnswers;
  readonly trustedProxies: TrustedProxies;
  /** Who may send requests; undefined: anybody. */
  readonly clients: Clients | undefined;
  /** What this instance is called in the `Via` of requests. */
  readonly pseudonym: string;
  readonly accessLog: AccessLog | undefined;
}

/**
 * One request's way through the proxy: refused, or tried at one upstream after the other until one could be connected to,
 * then piped both ways. It ends when its response is closed, finished or not.
 */
export class Exchange implements AttemptObserver, Addressee {
  readonly #context: ExchangeContext;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #forwarded: ClientResponse;
  readonly #expectation: Expectation;
  readonly #bodyLength: BodyLength | undefined;
  #client: ClientIdentity | undefined;
  #outgoing: Outgoing | undefined;
  #candidates: Candidates | undefined;
  #attempt: Attempt | undefined;
  /** Whether the answer that has begun may be one to the proxy's own credentials. */
  #refusal: CredentialsRefusal | undefined;
  #cut: BodyDimension | undefined;
  /** Why the last attempt could not connect, or broke. */
  #failure: Error | undefined;
  /** Whether the whole answer has been written. */
  #answered = false;
  #drains = false;
  /** The last one that was asked. */
  #upstream: Upstream | undefined;
  #begun = 0;

  constructor(context: ExchangeContext, request: IncomingMessage, response: ServerResponse, expectation: Expectation) {
    this.#context = context;
    this.#request = request;
    this.#response = response;
    this.#forwarded = new ClientResponse(response);
    this.#expectation = expectation;
    this.#bodyLength = bodyLengthOf(request);
  }

  /** @param over called once, when the response is finished or its connection gone. */
  start(over: () => void): void {
    const response = this.#response;
    response.on("error", ignore);
    if (this.#context.accessLog !== undefined) this.#begun = performance.now();
    response.on("close", () => {
      this.#stop(() => {
        this.#context.accessLog?.(this.#entry());
        over();
      });
    });
    if (offersUpgrade(this.#request)) response.shouldKeepAlive = false;
    const { closing, pseudonym } = this.#context;
    const refusal = closing ? problems.CLOSING : this.#identify();
    const outgoing =
      refusal ??
      outgoingRequest(this.#request, this.#bodyLength, this.#expectation, { trusted: this.#trusted, pseudonym });
    if ("status" in outgoing) {
      this.#answer(outgoing);
    } else {
      this.#outgoing = outgoing;
      this.#candidates = new Candidates(this.#context.router, outgoing.demand);
      this.#tryNext();
    }
  }

  #identify(): problems.Problem | undefined {
    const { clients, clock } = this.#context;
    const identity = clients?.identify(this.#request, calledHosts(this.#request, this.#trusted), clock.now());
    if (identity === undefined) return undefined;
    if ("status" in identity) return identity;
    this.#client = identity;
    return undefined;
  }

  /** What the client sent next on this connection cannot be read on: the exchange and the connection end. */
  clientBroke(problem: problems.Problem): void {
    const response = this.#response;
    // What else had come is no news.
    if (response.closed) return;
    this.#stop(ignore);
    if (!this.#answered) {
      // Only within this request's body the answer is this request's; what came after it has none that could be in order.
      if (response.headersSent || !this.#bodyPending()) {
        response.destroy();
        return;
      }
      response.shouldKeepAlive = false;
      this.#context.ownAnswers.write(this.#request, response, problem);
    }
    const { socket } = this.#request;
    response.end(() => socket.destroySoon());
  }

  /** Whether the client has to read more of the response before the exchange goes on. */
  get waitsForReader(): boolean {
    const response = this.#response;
    return response.headersSent && (response.writableNeedDrain || response.writableEnded);
  }

  /** Whether an upstream is being sent the request, or has been, and has not begun its response. */
  get awaitsResponse(): boolean {
    return this.#attempt?.started === true && !this.#forwarded.begun;
  }

  /** The client's body on its way to the upstream; null for none. */
  get upload(): RequestBody | null | undefined {
    return this.#outgoing?.body;
  }

  /** To be called every `GLANCE_MS`. */
  glance(): void {
    this.#attempt?.glance();
  }

  /** The client has left the exchange waiting for too long. */
  clientSilent(): void {
    if (this.#response.headersSent) {
      this.#response.destroy();
    } else {
      this.#stop(ignore);
      this.#answer(problems.SILENT_CLIENT);
    }
  }

  get askedOrigin(): string | undefined {
    return askedOrigin(this.#request, this.#trusted);
  }

  get claimedOrigin(): string | undefined {
    return this.#request.headers.origin;
  }

  /** The upstream has left the exchange waiting for too long. */
  upstreamSilent(): void {
    this.#attempt?.upstreamSilent();
  }

  started(): void {
    if (this.#expectation === "continue" && this.#bodyLength !== 0) this.#response.writeContinue();
  }

  passedOver(upstream: Upstream, error: Error): void {
    this.#failure = error;
    this.#candidates?.passOver(upstream);
    this.#tryNext();
  }

  unsendable(): void {
    this.#answer(problems.BAD_REQUEST);
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
    this.#stop(ignore);
    this.#failure = error;
    this.#answer(problems.CREDENTIALS_REFUSED);
  }

  ended(): void {
    this.#forwarded.finish();
    this.#end();
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
    this.#breakOff(brokenBy(error));
  }

  /** There is no room for so many more bytes of a body: nothing further passes. */
  #cutOff(dimension: BodyDimension, bytes: number): void {
    const [upstream, request] = [this.#upstream, this.#request];
    if (upstream === undefined || this.#answered) return;
    this.#cut = dimension;
    const { router, clock } = this.#context;
    const decision = router.cut(upstream, dimension, bytes);
    this.#stop(ignore);
    this.#breakOff(cutFor(dimension, decision, request, clock));
  }

  #tryNext(): void {
    this.#candidates?.next((routed) => {
      const outgoing = this.#outgoing;
      if (outgoing === undefined) return;
      if (routed.upstream === undefined) this.#answer(refusalOf(routed, this.#failure, this.#context.clock));
      else this.#send(outgoing, routed);
    });
  }

  /** Leaves an upstream that is too busy, or has no room for so long an answer, for one that is well, where the request may be sent again. */
  #sendElsewhere(busy: Upstream, responseLength?: number): boolean {
    const outgoing = this.#outgoing;
    if (outgoing === undefined || outgoing.body !== null || !mayBeRepeated(this.#request)) return false;
    const admitted = this.#candidates?.insteadOf(busy, responseLength);
    if (admitted === undefined) return false;
    this.#attempt?.abort(ignore);
    this.#send(outgoing, admitted);
    return true;
  }

  #send({ path, headers, body }: Outgoing, { upstream, reservation }: Admitted): void {
    this.#upstream = upstream;
    this.#attempt = new Attempt(upstream, reservation, this);
    const request = this.#request;
    if (this.#context.router.isExact) {
      body?.keepWithin(reservation.ingress, (bytes) => this.#cutOff("ingressBytes", bytes));
    }
    const sent = {
      method: request.method ?? "GET",
      path: upstream.pathFor(path),
      headers: upstream.headersFor(headers, askedHost(request)),
      body,
    };
    body?.onBroken((error) => this.#refuseBody(error));
    upstream.dispatch(upstream.withCredentials(sent, this.#client), this.#attempt);
  }

  /** The body is not what its client has signed: the backend gets no more of it. */
  #refuseBody(error: Error): void {
    if (this.#answered) return;
    this.#stop(ignore);
    this.#breakOff(sealProblem(error));
  }

  /** The client must not take a response that broke off for a whole one. */
  #breakOff(problem: problems.Problem): void {
    // fault: ends what was cut as if it were whole
    if (this.#response.headersSent) breakOff(this.#response);
    else this.#answer(problem);
  }

  #answer(problem: problems.Problem): void {
    // The rest of a body that is not sent on would have to be read before the connection could be used again.
    if (this.#bodyPending() || this.#context.closing) this.#response.shouldKeepAlive = false;
    this.#context.ownAnswers.write(this.#request, this.#response, problem);
    this.#end();
  }

  /** Ends the response; while the client still sends its body, only once that is read or has taken too long. */
  #end(): void {
    this.#answered = true;
    this.#outgoing?.body?.destroy();
    endResponse(this.#request, this.#response, this.#bodyLength !== 0, this.#context.clock);
  }

  #entry(): AccessEntry {
    return accessEntry(this.#request, this.#response, {
      client: this.#client?.name,
      upstream: this.#upstream,
      egressBytes: this.#attempt?.egressBytes ?? 0,
      durationMs: performance.now() - this.#begun,
      failure: this.#failure,
      cut: this.#cut,
    });
  }

  get #trusted(): boolean {
    return this.#context.trustedProxies.trusts(this.#request.socket);
  }

  #bodyPending(): boolean {
    return isBodyPending(this.#request, this.#bodyLength !== 0);
  }

  /** @param over called once nothing more will be counted of it. */
  #stop(over: () => void): void {
    // fault: keeps looking for room for a client that has gone away
    this.#candidates?.stop();
    this.#forwarded.dropHead();
    const done = (): void => {
      this.#outgoing?.body?.destroy();
      over();
    };
    if (this.#attempt === undefined) done();
    else this.#attempt.abort(done);
  }
}

/** For what is learnt of otherwise: a lost connection shows as `close`, and an error without a listener would end the process. */
function ignore(): void {}
