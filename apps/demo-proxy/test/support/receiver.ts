import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { text } from "node:stream/consumers";
import type { ThresholdEvent } from "@usage/tracker";
import { Webhook } from "standardwebhooks";
import { onTestFinished } from "vitest";
import { listenAgain } from "./listen-again.ts";

export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

export interface Delivery {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Answer = number | readonly [status: number, headers: Record<string, string>] | "hang" | "trickle";
/** The answer to the n-th delivery, from 0 on: a status with headers, none ever, or one whose body never ends. */
export type Behaviour = (n: number) => Answer | Promise<Answer>;

/** Somebody's server that takes webhooks. */
export class Receiver {
  readonly deliveries: Delivery[] = [];
  readonly behaviour: Behaviour;
  #server: Server | undefined;
  #port = 0;

  constructor(behaviour: Behaviour = () => 204) {
    this.behaviour = behaviour;
  }

  static async start(behaviour?: Behaviour): Promise<Receiver> {
    const receiver = new Receiver(behaviour);
    await receiver.start();
    onTestFinished(() => receiver.stop());
    return receiver;
  }

  /** With what is a secret in many an address. */
  get url(): URL {
    return new URL(`http://127.0.0.1:${this.#port}/T0/hunter2`);
  }

  /** At the same port each time. */
  async start(): Promise<void> {
    this.#server = createServer(async (request, response) => {
      const { method, url: path, headers } = request;
      const n = this.deliveries.push({ method, path, headers, body: await text(request) }) - 1;
      const answer = await this.behaviour(n);
      if (answer === "hang") return;
      if (answer === "trickle") {
        const timer = setInterval(() => response.write("."), 50);
        response
          .on("close", () => clearInterval(timer))
          .writeHead(200)
          .flushHeaders();
        return;
      }
      const [status, more] = typeof answer === "number" ? [answer, {}] : answer;
      response.writeHead(status, more).end("thanks");
    });
    this.#port = await listenAgain(this.#server, this.#port);
  }

  async stop(): Promise<void> {
    if (!this.#server?.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** The events that it got, verified by the library that receivers use. */
  verified(secret: string = SECRET): readonly ThresholdEvent[] {
    const webhook = new Webhook(secret);
    return this.deliveries.map(({ headers, body }) => {
      const {
        "webhook-id": id = "",
        "webhook-timestamp": timestamp = "",
        "webhook-signature": signature = "",
      } = headers;
      const event = webhook.verify(body, {
        "webhook-id": String(id),
        "webhook-timestamp": String(timestamp),
        "webhook-signature": String(signature),
      }) as ThresholdEvent;
      if (event.id !== id) throw new Error(`${event.id} came as ${id}`);
      return event;
    });
  }
}
