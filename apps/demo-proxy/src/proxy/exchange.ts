import type { IncomingMessage, ServerResponse } from "node:http";
import type { ClientIdentity } from "../credentials/client-identity.ts";
import { type AccessEntry, accessEntry } from "./access-entry.ts";
import { GLANCE_MS } from "./admission/reservation.ts";
import * as problems from "./answers/problem.ts";
import type { ExchangeContext } from "./exchange-context.ts";
import { refuseForeignPage } from "./foreign-page.ts";
import { Forwarding } from "./forwarding.ts";
import type { ForwardingObserver } from "./forwarding-observer.ts";
import { breakOff } from "./http/client-response.ts";
import { calledHosts } from "./http/forwarded.ts";
import { type BodyLength, bodyLengthOf } from "./http/framing.ts";
import { endResponse, isBodyPending } from "./http/linger.ts";
import { type Expectation, outgoingRequest } from "./outgoing.ts";
import type { RequestBody } from "./request-body.ts";
import type { Tunnel, TunnelOptions } from "./websockets/tunnel.ts";
import { offersUpgrade } from "./websockets/upgrade.ts";
import type { UpgradingClient } from "./websockets/upgrading-client.ts";

/** One request and its response: refused, or forwarded. It ends when its response is closed, finished or not. */
export class Exchange implements ForwardingObserver {
  readonly #context: ExchangeContext;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #expectation: Expectation;
  readonly #bodyLength: BodyLength | undefined;
  readonly #upgrading: UpgradingClient | undefined;
  #client: ClientIdentity | undefined;
  #forwarding: Forwarding | undefined;
  #answered = false;
  #hasContinued = false;
  #begun = 0;
  /** How long the WebSocket's backend has been draining. */
  #drainingMs = 0;

  /** @param upgrading the client's connection, where it has asked for a WebSocket as it should. */
  constructor(
    context: ExchangeContext,
    request: IncomingMessage,
    response: ServerResponse,
    expectation: Expectation,
    upgrading?: UpgradingClient,
  ) {
    this.#upgrading = upgrading;
    this.#context = context;
    this.#request = request;
    this.#response = response;
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
    const refusal = closing
      ? problems.CLOSING
      : (this.#identify() ?? refuseForeignPage(this.#request, this.#context, this.#upgrading !== undefined));
    const outgoing =
      refusal ??
      outgoingRequest(this.#request, this.#bodyLength, this.#expectation, {
        trusted: this.#trusted,
        pseudonym,
        upgrades: this.#upgrading !== undefined,
      });
    if ("status" in outgoing) {
      this.refused(outgoing);
    } else {
      this.#forwarding = new Forwarding(this.#context, response, outgoing, this.#client, this);
      this.#forwarding.start();
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
    if (this.tunnel !== undefined) return this.tunnel.waitsForClient;
    return response.headersSent && (response.writableNeedDrain || response.writableEnded);
  }

  /** Whether an upstream is being sent the request, or has been, and has not begun its response. */
  get awaitsResponse(): boolean {
    return this.#forwarding?.awaitsResponse === true;
  }

  /** The client's body on its way to the upstream; null for none. */
  get upload(): RequestBody | null | undefined {
    return this.#forwarding?.upload;
  }

  /** The WebSocket that it has opened. */
  get tunnel(): Tunnel | undefined {
    return this.#forwarding?.tunnel;
  }

  /** The server is shutting down: what has no end of its own ends now. */
  goAway(): void {
    this.tunnel?.goAway("this proxy is shutting down");
  }

  /** To be called every `GLANCE_MS`. */
  glance(): void {
    if (this.#context.closing) this.goAway();
    this.#forwarding?.glance();
    if (this.tunnel !== undefined) this.#lookAtDrain(this.tunnel);
  }

  /** What has no end of its own would keep a backend that drains for ever. */
  #lookAtDrain(tunnel: Tunnel): void {
    this.#drainingMs = this.#forwarding?.upstream?.draining === true ? this.#drainingMs + GLANCE_MS : 0;
    // fault: leaves a WebSocket open whose backend drains
    if (this.#drainingMs > this.#context.drainGraceMs) {
      tunnel.leave("what serves it is taken out of use");
    }
  }

  /** The client has left the exchange waiting for too long. */
  clientSilent(): void {
    if (this.#response.headersSent || this.tunnel !== undefined) {
      this.#response.destroy();
    } else {
      this.#stop(ignore);
      this.refused(problems.SILENT_CLIENT);
    }
  }

  /** The upstream has left the exchange waiting for too long. */
  upstreamSilent(): void {
    this.#forwarding?.upstreamSilent();
  }

  opening(headers: readonly string[]): Pick<TunnelOptions, "client" | "early"> | undefined {
    return this.#upgrading?.open(headers);
  }

  get answered(): boolean {
    return this.#answered;
  }

  started(): void {
    if (this.#expectation !== "continue" || this.#bodyLength === 0 || this.#hasContinued) return;
    this.#hasContinued = true;
    this.#response.writeContinue();
  }

  /** Ends the response; while the client still sends its body, only once that is read or has taken too long. */
  ended(): void {
    this.#answered = true;
    this.#forwarding?.dropBody();
    endResponse(this.#request, this.#response, this.#bodyLength !== 0, this.#context.clock);
  }

  refused(problem: problems.Problem): void {
    // The rest of a body that is not sent on would have to be read before the connection could be used again.
    if (this.#bodyPending() || this.#context.closing) this.#response.shouldKeepAlive = false;
    this.#context.ownAnswers.write(this.#request, this.#response, problem);
    this.ended();
  }

  /** The client must not take a response that broke off for a whole one. */
  broken(problem: problems.Problem): void {
    // fault: ends what was cut as if it were whole
    if (this.#response.headersSent) breakOff(this.#response);
    else this.refused(problem);
  }

  #entry(): AccessEntry {
    const forwarding = this.#forwarding;
    return accessEntry(this.#request, this.#response, {
      client: this.#client?.name,
      upstream: forwarding?.upstream,
      egressBytes: forwarding?.egressBytes ?? 0,
      durationMs: performance.now() - this.#begun,
      failure: forwarding?.failure,
      cut: forwarding?.cut,
      tunnel: this.tunnel,
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
    if (this.#forwarding === undefined) over();
    else this.#forwarding.stop(over);
  }
}

/** For what is learnt of otherwise: a lost connection shows as `close`, and an error without a listener would end the process. */
function ignore(): void {}
