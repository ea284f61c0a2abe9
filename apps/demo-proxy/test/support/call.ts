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

export interface CallOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

/**
 * One request on a connection of its own, its path and headers exactly as given. What the admin listener answers is checked against
 * its document.
 */
export async function call(address: Address, path: string, options: CallOptions = {}): Promise<Reply> {
  const reply = await send(address, path, options);
  if (!isOfAdmin(reply)) return reply;
  const { troubleOfAnswer } = await import("./described.ts");
  const { method = "GET" } = options;
  const trouble = troubleOfAnswer(method, path, reply);
  if (trouble !== undefined) throw new Error(`${method} ${path}: ${trouble}`);
  return reply;
}

/** By what only the admin listener says of all that it answers, but of the page. */
function isOfAdmin({ headers }: Reply): boolean {
  return headers["content-security-policy"] === "default-src 'none'; frame-ancestors 'none'";
}

function send(address: Address, path: string, options: CallOptions): Promise<Reply> {
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
