import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { text } from "node:stream/consumers";
import type { Address } from "../../src/config/address.ts";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

/** One request on a connection of its own, its path and headers exactly as given. */
export function call(
  address: Address,
  path: string,
  options: { method?: string; headers?: OutgoingHttpHeaders; body?: string | Buffer } = {},
): Promise<Reply> {
  const { method = "GET", headers = {}, body } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const { host, port } = address;
  const sent = request({ host, port, path, method, headers, agent: false }, async (response) => {
    const received = await text(response);
    resolve({ status: response.statusCode ?? 0, headers: response.headers, text: received, json: parsed(received) });
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

function parsed(received: string): unknown {
  try {
    return JSON.parse(received);
  } catch {
    return undefined;
  }
}
