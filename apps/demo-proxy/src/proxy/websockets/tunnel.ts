import type { Duplex } from "node:stream";
import type { Clock } from "@usage/counter-core";
import type { Decision } from "@usage/tracker";
import type { BodyDimension } from "../admission/body-room.ts";
import type { Reservation } from "../admission/reservation.ts";
import { closeFrame } from "./frames.ts";
import { TunnelWay } from "./tunnel-way.ts";

/** Codes of frames that close a WebSocket (RFC 6455, section 7.4.1, and IANA's registry). */
export const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;
const TRY_AGAIN_LATER = 1013;

/** How long both sides may take to close what the proxy has closed, in milliseconds. */
const CLOSE_MS = 2_000;

export interface TunnelObserver {
  /** There is no room for so many more bytes. Tells why. */
  noRoom(dimension: BodyDimension, bytes: number): Decision<"apiRequests">["reason"];
  /** The backend broke off. */
  broken(error: Error): void;
}

export interface TunnelOptions {
  readonly client: Duplex;
  readonly upstream: Duplex;
  /** What the client has sent ahead. */
  readonly early: readonly Buffer[];
  readonly reservation: Reservation;
  readonly clock: Clock;
  readonly observer: TunnelObserver;
}

/** A WebSocket between a client and a backend, from the answer that opens it to its end, which is the end of the client's connection. */
export class Tunnel {
  readonly #options: TunnelOptions;
  readonly #toUpstream: TunnelWay;
  readonly #toClient: TunnelWay;
  #cancel: (() => void) | undefined;
  /** Directions that were not told of the end. */
  #open = 2;
  #isClosing = false;
  #stopped = false;

  constructor(options: TunnelOptions) {
    this.#options = options;
    const { client, upstream, reservation } = options;
    this.#toUpstream = new TunnelWay({
      source: client,
      sink: upstream,
      room: reservation.ingress,
      onNoRoom: (bytes) => this.#noRoom("ingressBytes", bytes),
      onClosed: () => this.#endBoth(),
      countsUnpassed: false,
    });
    this.#toClient = new TunnelWay({
      source: upstream,
      sink: client,
      room: reservation.egress,
      onNoRoom: (bytes) => this.#noRoom("egressBytes", bytes),
      onClosed: () => this.#endBoth(),
      countsUnpassed: true,
    });
  }

  start(): void {
    const { client, upstream, early } = this.#options;
    let failure: Error | undefined;
    upstream.on("error", (error: Error) => {
      failure = error;
    });
    // A side that is gone without a word takes the other one with it.
    upstream.once("close", () => {
      if (failure !== undefined && !this.#stopped) this.#options.observer.broken(failure);
      this.#toUpstream.stop();
      if (failure !== undefined || !upstream.readableEnded) client.destroy();
      else client.end();
    });
    this.#toUpstream.start(early);
    this.#toClient.start([]);
  }

  /** Whether both sides have ended it by themselves, in order. */
  get isComplete(): boolean {
    return this.#options.client.readableEnded && this.#options.upstream.readableEnded && !this.#isClosing;
  }

  /** Bytes that came from the backend. */
  get egressBytes(): number {
    return this.#toClient.came;
  }

  /** Bytes that were passed on, either way: pings and pongs are among them. */
  get moved(): number {
    return this.#toUpstream.passed + this.#toClient.passed;
  }

  /** Whether the client has to read before the backend is read on. */
  get waitsForClient(): boolean {
    return this.#options.client.writableNeedDrain;
  }

  /** Whether the backend has to read before the client is read on. */
  get waitsForUpstream(): boolean {
    return this.#options.upstream.writableNeedDrain;
  }

  /** Bytes that the backend's connection has taken. */
  get takenByUpstream(): number {
    return this.#toUpstream.passed - this.#options.upstream.writableLength;
  }

  /** To be called every `GLANCE_MS`. */
  glance(): void {
    if (this.#isClosing) return;
    const { reservation } = this.#options;
    reservation.glance();
    // Where limits may be passed, a body does so until its end; a WebSocket may have none.
    for (const dimension of ["ingressBytes", "egressBytes"] as const) {
      const room = dimension === "ingressBytes" ? reservation.ingress : reservation.egress;
      room.turn();
      // fault: lets a WebSocket go on above a limit
      if (room.isUsedUp) {
        this.#noRoom(dimension, 1);
      }
    }
  }

  /** Closes it on both sides, where frames end, for a reason that is no fault of theirs. */
  goAway(reason: string): void {
    this.#close(GOING_AWAY, reason);
  }

  /** The same, and waits for both sides no longer than it takes. */
  leave(reason: string): void {
    this.goAway(reason);
    this.#endSoon();
  }

  /** The client's connection is gone, or of no use. What had come from the backend is counted. */
  stop(over: () => void): void {
    const { upstream } = this.#options;
    this.#stopped = true;
    this.#cancel?.();
    this.#toClient.stop();
    if (upstream.destroyed) {
      over();
      return;
    }
    // In one turn of the event loop node reads what the kernel holds, up to 2 MiB.
    setImmediate(() => {
      upstream.destroy();
      over();
    });
  }

  #noRoom(dimension: BodyDimension, bytes: number): void {
    const reason = this.#options.observer.noRoom(dimension, bytes);
    const what = dimension === "egressBytes" ? "egress" : "ingress";
    if (reason === "limit") this.#close(POLICY_VIOLATION, `the limit of ${what} is used up`);
    else this.#close(TRY_AGAIN_LATER, `there is no room for ${what} at the moment`);
    this.#endSoon();
  }

  #close(code: number, reason: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    // fault: leaves clients of a WebSocket without a word
    this.#toClient.close(closeFrame(code, reason, false));
    this.#toUpstream.close(closeFrame(GOING_AWAY, reason, true));
  }

  /** A side that was told of the end may be in the middle of a frame, which the other one is to have whole. */
  #endBoth(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    this.#options.client.end();
    this.#options.upstream.end();
  }

  /** Waits for both sides no longer than it takes. */
  #endSoon(): void {
    this.#cancel ??= this.#options.clock.after(CLOSE_MS, () => this.#options.client.destroy());
  }

  /** Nothing has moved for too long. */
  idle(): void {
    this.leave("nothing was sent for too long");
  }
}
