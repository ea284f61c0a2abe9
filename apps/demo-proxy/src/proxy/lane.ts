import type { Duplex } from "node:stream";
import type { Exchange } from "./exchange.ts";

/** How often within the longest silence a lane is looked at: what falls silent is noticed at most a quarter late. */
export const LOOKS_PER_SILENCE = 4;

/** The part of a client's connection that shows whether bytes move; a TCP socket has it. */
export interface ClientConnection extends Duplex {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * The unfinished exchanges of one client connection: the first runs, the others were sent ahead. It notices by a glance at
 * even intervals when a client has fallen silent; a timer that each read and write starts anew would cost more.
 */
export class Lane {
  readonly exchanges: Exchange[] = [];
  readonly #connection: ClientConnection;
  #moved = 0;
  #silentLooks = 0;

  constructor(connection: ClientConnection) {
    this.#connection = connection;
  }

  /** To be called `LOOKS_PER_SILENCE` times in the longest silence that is allowed; ends the exchange of a silent client. */
  look(): void {
    const running = this.exchanges[0];
    const { bytesRead, bytesWritten, writableLength } = this.#connection;
    const moved = bytesRead + bytesWritten - writableLength;
    if (!running?.waitsForClient || moved !== this.#moved) {
      this.#moved = moved;
      this.#silentLooks = 0;
      return;
    }
    this.#silentLooks += 1;
    if (this.#silentLooks >= LOOKS_PER_SILENCE) running.clientSilent();
  }
}
