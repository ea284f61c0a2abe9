import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { type Dispatcher, errors } from "undici";
import type { RequestMeter } from "../rules/request-meter.ts";
import type { Reservation } from "./admission/reservation.ts";
import type { AttemptObserver } from "./attempt-observer.ts";
import { msSince, ticks } from "./upstream/stopwatch.ts";
import { isClosed } from "./upstream/trouble.ts";
import type { Upstream } from "./upstream/upstream.ts";
import type { Tunnel } from "./websockets/tunnel.ts";

/** Whether a backend answers that it takes no requests now. */
export function isBusy(status: number): boolean {
  return status === 429 || status === 503;
}

/** The controller exists exactly while the upstream's connection works for this attempt. */
type State =
  | { readonly at: "connecting" }
  | { readonly at: "started"; readonly controller: Dispatcher.DispatchController }
  /** A WebSocket is open. */
  | { readonly at: "open"; readonly tunnel: Tunnel }
  /** Nobody wants its answer any more; what has come of it is still counted. */
  | { readonly at: "leaving" }
  | { readonly at: "over" };

const CONNECTING: State = { at: "connecting" };
const LEAVING: State = { at: "leaving" };
const OVER: State = { at: "over" };

/** One try to have a request answered by one upstream: counts what passes, and gives back its reservation however it ends. */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly #upstream: Upstream;
  readonly #reservation: Reservation;
  readonly #observer: AttemptObserver;
  readonly #meter: RequestMeter | undefined;
  readonly #begun: number = ticks();
  /** Whether it shows if a backend that failed answers again. */
  readonly #probe: boolean;
  #state: State = CONNECTING;
  /** Whether its connection was kept from another request, and has brought nothing of an answer: that may have closed before. */
  #isMaybeClosed = false;
  #egressBytes = 0;
  /** What came of the body and waits for room. */
  #unpassed: Buffer[] | undefined;
  #endsThen = false;
  #onOver: (() => void) | undefined;

  /** @param meter counts what the request costs besides itself and its bytes; undefined: nothing. */
  constructor(upstream: Upstream, reservation: Reservation, observer: AttemptObserver, meter?: RequestMeter) {
    this.#upstream = upstream;
    this.#reservation = reservation;
    this.#observer = observer;
    this.#meter = meter;
    upstream.inFlight += 1;
    this.#probe = upstream.health.begin();
  }

  /** Bytes of the response's body that came. */
  get egressBytes(): number {
    return this.#egressBytes;
  }

  /**
   * The client wants no more: nothing further is reported. What has come already and is not read yet has been used all the same,
   * and is counted before the connection closes.
   *
   * @param over called once nothing more will be counted, perhaps at once.
   */
  abort(over: () => void): void {
    const state = this.#state;
    if (state.at === "over") {
      over();
      return;
    }
    const before = this.#onOver;
    this.#onOver = () => {
      before?.();
      over();
    };
    if (state.at === "connecting") this.#finish();
    else if (state.at === "open") {
      this.#state = LEAVING;
      state.tunnel.stop(() => {
        this.#upstream.traffic.open -= 1;
        this.#finish();
      });
    } else if (state.at === "started") {
      this.#countUnpassed();
      this.#state = LEAVING;
      if (this.#endsThen) this.onResponseEnd();
      // fault: leaves unread what had come of an aborted download
      else setImmediate(readOut, state.controller);
    }
  }

  /** Whether the request is being written, or has been. */
  get started(): boolean {
    return this.#state.at === "started";
  }

  /** The upstream has left the exchange waiting for too long: the attempt is broken. */
  upstreamSilent(): void {
    if (this.#state.at === "started") this.#state.controller.abort(new errors.HeadersTimeoutError());
  }

  resume(): void {
    if (this.#state.at === "started" && this.#unpassed === undefined) this.#state.controller.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#state.at !== "connecting") {
      controller.abort(new errors.RequestAbortedError());
      return;
    }
    this.#state = { at: "started", controller };
    this.#isMaybeClosed = this.#upstream.isConnectionKept();
    this.#observer.started();
  }

  // Undici writes the head together with the first bytes of the body, or alone just before `onRequestSent`.
  onBodySent(chunk: Uint8Array): void {
    this.#reservation.countRequest();
    this.#meter?.written();
    this.#reservation.ingress.count(chunk.byteLength);
  }

  onRequestSent(): void {
    this.#reservation.countRequest();
    this.#meter?.written();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    reason?: string,
  ): void {
    // fault: sends again what was begun to be answered
    this.#isMaybeClosed = false;
    if (status === 101) controller.abort(new errors.SocketError("switched protocols without being asked"));
    if (status < 200) return;
    this.#meter?.answered(status, headers);
    this.#upstream.traffic.answered(status, msSince(this.#begun));
    if (isBusy(status)) this.#upstream.health.busy(status, headers["retry-after"]);
    else this.#upstream.health.answered(this.#probe);
    if (this.#state.at !== "started") return;
    this.#observer.head(status, reason, headers);
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    // What is destroyed here may still fail.
    socket.on("error", () => {});
    this.#reservation.countRequest();
    this.#meter?.written();
    // fault: counts what a WebSocket costs only when it ends
    this.#meter?.answered(status, headers);
    this.#upstream.traffic.answered(status, msSince(this.#begun));
    const tunnel =
      this.#state.at === "started" ? this.#observer.upgraded(headers, socket, this.#reservation) : undefined;
    if (tunnel !== undefined) {
      this.#upstream.health.answered(this.#probe);
      this.#upstream.health.completed();
      this.#upstream.traffic.upgraded += 1;
      this.#upstream.traffic.open += 1;
      this.#state = { at: "open", tunnel };
      tunnel.start();
      return;
    }
    socket.destroy();
    this.onResponseError(_controller, new errors.SocketError("switched to something else than a WebSocket"));
  }

  /** To be called every `GLANCE_MS`. */
  glance(): void {
    if (this.#state.at === "open") this.#state.tunnel.glance();
    else if (this.#state.at !== "over") this.#reservation.glance();
  }

  /** The response has announced a body of so many bytes. Returns false where there is no room for it, and it must not pass. */
  expectEgress(bytes: number): boolean {
    return this.#reservation.expectEgress(bytes);
  }

  /** Waits a while for room for a body of so many bytes; `then` goes on with it. */
  expectSoon(bytes: number, then: () => void): void {
    void this.#await(async () => {
      if (!(await this.#reservation.egress.expectSoon(bytes))) return bytes;
      if (this.started) then();
      return undefined;
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { egress } = this.#reservation;
    this.#egressBytes += chunk.length;
    this.#meter?.data(chunk);
    if (this.#state.at !== "started") egress.count(chunk.length);
    // A connection that closes has all of it read, paused or not.
    else if (this.#unpassed !== undefined) this.#unpassed.push(chunk);
    else if (!egress.take(chunk.length)) void this.#await(async () => undefined, chunk);
    else if (!this.#pass(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    const { at } = this.#state;
    if (at === "over") return;
    if (this.#unpassed !== undefined) {
      this.#endsThen = true;
      return;
    }
    this.#finish();
    this.#upstream.health.completed();
    if (at === "started") this.#observer.ended();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const { at } = this.#state;
    if (at === "over") return;
    this.#countUnpassed();
    this.#finish();
    if (at === "leaving") return;
    if (at === "started") {
      // Whoever closes what nobody uses is not ill, and most likely has not read the request.
      // fault: answers 502 where a kept connection was closed
      if (this.#isMaybeClosed && isClosed(error) && this.#observer.sendAgain()) {
        this.#upstream.traffic.resent += 1;
        return;
      }
      this.#upstream.traffic.broke(error);
      this.#upstream.health.failed(error, true, this.#probe);
      this.#observer.broken(error);
    } else if (error instanceof errors.InvalidArgumentError) {
      this.#observer.unsendable();
    } else {
      this.#upstream.traffic.unconnected += 1;
      this.#upstream.health.failed(error, false, this.#probe);
      this.#observer.passedOver(this.#upstream, error);
    }
  }

  /** Pauses the response until there is room: first by `begin`, which resolves to so many bytes where there is none. */
  async #await(begin: () => Promise<number | undefined>, ...came: Buffer[]): Promise<void> {
    const state = this.#state;
    if (state.at !== "started") return;
    const unpassed = came;
    this.#unpassed = unpassed;
    state.controller.pause();
    this.#observer.starved();
    let lacks = await begin();
    let goesOn = true;
    for (;;) {
      // Whoever has ended it meanwhile has counted what came.
      if (this.#unpassed !== unpassed) return;
      const [chunk] = unpassed;
      if (lacks !== undefined || chunk === undefined) break;
      if (await this.#reservation.egress.takeSoon(chunk.length)) {
        if (this.#unpassed !== unpassed) return;
        unpassed.shift();
        goesOn = this.#pass(chunk);
      } else lacks = chunk.length;
    }
    if (lacks !== undefined) {
      this.#observer.noRoom(lacks);
      return;
    }
    this.#unpassed = undefined;
    if (this.#endsThen) this.onResponseEnd();
    else if (goesOn) state.controller.resume();
  }

  /** Returns whether more may come. */
  #pass(chunk: Buffer): boolean {
    this.#reservation.egress.count(chunk.length);
    return this.#observer.data(chunk);
  }

  /** What came and has no room has been used all the same. */
  #countUnpassed(): void {
    // fault: counts nothing of an answer that had no room
    for (const chunk of this.#unpassed ?? []) this.#reservation.egress.count(chunk.length);
    this.#unpassed = undefined;
  }

  #finish(): void {
    this.#state = OVER;
    this.#meter?.over();
    this.#reservation.release();
    this.#upstream.inFlight -= 1;
    this.#upstream.health.end(this.#probe);
    this.#onOver?.();
  }
}

/**
 * Reads what a connection has received, then closes it. In one turn of the event loop node reads up to 2 MiB of what the
 * kernel holds; with more turns, a near upstream would send on as fast as it is read.
 */
function readOut(controller: Dispatcher.DispatchController): void {
  controller.resume();
  setImmediate(() => controller.abort(new errors.RequestAbortedError()));
}
