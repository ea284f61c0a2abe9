import type { Duplex } from "node:stream";
import type { Exchange } from "./exchange.ts";
import type { Timeouts } from "./http/timeouts.ts";
import { ReaderSilence } from "./reader-silence.ts";
import { LOOKS_PER_SILENCE, Silence } from "./silence.ts";
import type { Tunnel } from "./websockets/tunnel.ts";

/** The part of a client's connection that shows how much of what was written the kernel has taken; a TCP socket has it. */
export interface ClientConnection extends Duplex {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** How often lanes are looked at, in milliseconds. */
export function lookIntervalMs({ idleMs, headersMs, keepAliveMs }: Timeouts): number {
  return Math.ceil(Math.min(idleMs, headersMs, keepAliveMs) / LOOKS_PER_SILENCE);
}

/**
 * The unfinished exchanges of one client connection: the first runs, the others were sent ahead. It notices who keeps the
 * running one waiting: each silence is ended by what it is about and by nothing else, so that a client that trickles its
 * body is silent all the same while it does not read its response.
 */
export class Lane {
  readonly exchanges: Exchange[] = [];
  readonly #connection: ClientConnection;
  readonly #idleLooks: number;
  readonly #headLooks: number;
  /** The client's, who has to read its responses. */
  readonly #reading: ReaderSilence;
  /** The client's, from an answer until its next request begins to come. */
  readonly #rest: Silence;
  /** What was written and read when an answer was last seen to leave. */
  #answered = 0;
  #asked = 0;
  /** That between two requests. */
  readonly #pause: Silence;
  /** The exchange that the following three are about. */
  #watched: Exchange | undefined;
  /** The client's, who has to go on with its body. */
  #sending: Silence;
  /** The upstream's, which has to read that body. */
  #taking: ReaderSilence;
  /** That of both sides of a WebSocket. */
  #moving: Silence;
  /** The upstream's, which has to begin its response. */
  #answering: Silence;

  constructor(connection: ClientConnection, timeouts: Timeouts) {
    const intervalMs = lookIntervalMs(timeouts);
    this.#connection = connection;
    this.#idleLooks = Math.ceil(timeouts.idleMs / intervalMs);
    this.#headLooks = Math.ceil(timeouts.headersMs / intervalMs);
    this.#reading = new ReaderSilence(this.#idleLooks);
    // One look longer than clients are told: what one sends at the last moment is still on its way.
    this.#rest = new Silence(Math.ceil(timeouts.keepAliveMs / intervalMs) + 1);
    // Each empty line begins the time anew that node gives a head.
    this.#pause = new Silence(Math.ceil((timeouts.keepAliveMs + timeouts.headersMs) / intervalMs) + LOOKS_PER_SILENCE);
    this.#sending = new Silence(this.#idleLooks);
    this.#taking = new ReaderSilence(this.#headLooks);
    this.#moving = new Silence(this.#idleLooks);
    this.#answering = new Silence(this.#headLooks);
  }

  /** To be called every `lookIntervalMs`; ends what a silent client or upstream holds up. */
  look(): void {
    const running = this.exchanges[0];
    if (running !== this.#watched) this.#watch(running);
    const { bytesRead, bytesWritten, writableLength } = this.#connection;
    // fault: waits for ever for a client to read
    const unread = this.#reading.look(bytesWritten - writableLength, running?.waitsForReader === true);
    if (running !== undefined || bytesWritten !== this.#answered) {
      this.#answered = bytesWritten;
      this.#asked = bytesRead;
    }
    // Once its next head begins to come, node limits that.
    // fault: closes a connection in the middle of its next request's head
    const isAtRest = running === undefined && bytesWritten > 0 && bytesRead === this.#asked;
    // fault: keeps a connection open on which nothing more is asked
    const rests = this.#rest.look(bytesRead, isAtRest);
    if (this.#pause.look(bytesWritten, running === undefined) || rests) this.#connection.destroy();
    if (running === undefined) return;
    if (unread) running.clientSilent();
    else if (running.tunnel !== undefined) this.#lookAtTunnel(running.tunnel);
    else this.#lookAtRequest(running);
  }

  #lookAtTunnel(tunnel: Tunnel): void {
    // fault: keeps a WebSocket open that nobody uses
    const isIdle = this.#moving.look(tunnel.moved, true);
    const unread = this.#taking.look(tunnel.takenByUpstream, tunnel.waitsForUpstream);
    if (isIdle || unread) tunnel.idle();
  }

  #lookAtRequest(running: Exchange): void {
    const { upload, awaitsResponse } = running;
    const { received = 0, sent = 0 } = upload ?? {};
    const held = awaitsResponse && upload?.isPaused() === true;
    const hungry = awaitsResponse && !held && upload?.hungry === true;
    const given = awaitsResponse && (upload === null || upload?.readableEnded === true);
    if (this.#sending.look(received, hungry)) running.clientSilent();
    const unread = this.#taking.look(sent, held);
    // fault: waits for ever for an upstream to answer
    const unanswered = this.#answering.look(sent, given && !this.#taking.behind);
    if (unread || unanswered) running.upstreamSilent();
  }

  #watch(running: Exchange | undefined): void {
    this.#watched = running;
    this.#reading.restart();
    this.#sending = new Silence(this.#idleLooks);
    this.#taking = new ReaderSilence(this.#headLooks);
    this.#moving = new Silence(this.#idleLooks);
    this.#answering = new Silence(this.#headLooks);
  }
}
