import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { ThresholdEvent } from "@usage/tracker";
import { Webhook } from "standardwebhooks";

/** Somebody's server that is told of thresholds. It believes only what is signed with its secret, and acts once on each id. */
export class Receiver {
  readonly url: URL;
  readonly secret: string;
  readonly #server: Server;

  private constructor(server: Server, secret: string) {
    this.#server = server;
    this.secret = secret;
    this.url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/usage`);
  }

  /** `onDelivery` gets each event once, and null for a delivery whose signature is wrong. */
  static async start(onDelivery: (event: ThresholdEvent | null) => void): Promise<Receiver> {
    const secret = `whsec_${randomBytes(24).toString("base64")}`;
    const webhook = new Webhook(secret);
    const seen = new Set<string>();
    const server = createServer(async (request, response) => {
      const event = verified(webhook, await text(request), request.headers);
      response.writeHead(event === null ? 401 : 204).end();
      if (event !== null && seen.has(event.id)) return;
      if (event !== null) seen.add(event.id);
      onDelivery(event);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Receiver(server, secret);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function verified(webhook: Webhook, body: string, headers: NodeJS.Dict<string | string[]>): ThresholdEvent | null {
  const texts = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  try {
    return webhook.verify(body, texts) as ThresholdEvent;
  } catch {
    return null;
  }
}
