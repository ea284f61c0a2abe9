import { createServer, type Server } from "node:http";
import { text } from "node:stream/consumers";
import type { ThresholdEvent } from "@usage/tracker";
import { listenAgain } from "../support/listen-again.ts";

/** An event as it came. */
export interface Received {
  readonly event: ThresholdEvent;
  readonly attempt: number;
  /** Whether it was told that this was right. */
  readonly isTaken: boolean;
}

/** What becomes of the next event: it is taken, refused with a 500, or nobody ever answers. */
export type Mood = "takes" | "refuses" | "hangs";

/** A web server that is told of events. */
export class Receiver {
  readonly received: Received[] = [];
  /** Is asked for each event. */
  mood: () => Mood = () => "takes";
  /** Sees each event before it is answered. */
  onEvent: (event: ThresholdEvent) => Promise<void> = async () => {};
  #server: Server | undefined;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  get taken(): readonly ThresholdEvent[] {
    return this.received.filter(({ isTaken }) => isTaken).map(({ event }) => event);
  }

  /** At the port where it was before. */
  async start(): Promise<void> {
    this.#server = createServer(async (request, response) => {
      const { event, attempt } = JSON.parse(await text(request)) as Received;
      await this.onEvent(event);
      const mood = this.mood();
      this.received.push({ event, attempt, isTaken: mood === "takes" });
      if (mood !== "hangs") response.writeHead(mood === "takes" ? 204 : 500).end();
    });
    this.#port = await listenAgain(this.#server, this.#port);
  }

  /** It is away: nobody can reach it. */
  async stop(): Promise<void> {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = undefined;
  }
}
