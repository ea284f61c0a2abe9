import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { Usage } from "@usage/counter-core";

/** What an upstream has taken and given, by a log of its own. */
export class BodyLog {
  readonly lines: string[] = [];
  #usage = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

  usage(): Usage {
    return { ...this.#usage };
  }

  /** The body of a request, as it came. */
  async read(request: IncomingMessage): Promise<Buffer> {
    this.#usage.apiRequests += 1;
    this.lines.push(`${request.method} ${request.url}`);
    const body = await buffer(request);
    this.#usage.ingressBytes += body.length;
    return body;
  }

  /** Ends the response with a body, which the response to a HEAD does not have. */
  end(response: ServerResponse, body: Buffer): void {
    if (response.req.method !== "HEAD") this.#usage.egressBytes += body.length;
    response.end(body);
  }
}
