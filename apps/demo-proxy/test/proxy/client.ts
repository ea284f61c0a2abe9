import { once } from "node:events";
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Several parts are sent chunked, one after the other; a single one with its length. */
  readonly body?: Uint8Array | string | readonly (Uint8Array | string)[];
}

/** One request on a connection of its own, with its whole answer. */
export async function send(port: number, path: string, ask: Ask = {}): Promise<Reply> {
  const { method = "GET", headers = {}, body } = ask;
  const outgoing = request({ port, host: "127.0.0.1", path, method, headers, agent: false });
  const answered = once(outgoing, "response");
  // An answer may come, and the connection end, while the body is still being sent.
  outgoing.on("error", () => {});
  if (typeof body === "object" && !(body instanceof Uint8Array)) {
    for (const part of body) {
      outgoing.write(part);
      await sleep(1);
    }
    outgoing.end();
  } else {
    outgoing.end(body);
  }
  const [response] = await answered;
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  const whole = Buffer.concat(parts);
  return {
    status: response.statusCode,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body: whole,
    text: whole.toString("latin1"),
  };
}

export interface RawClient {
  readonly socket: Socket;
  readonly text: () => string;
  readonly closed: Promise<void>;
  /** Resolves once the text so far contains `part` (so many times), or rejects when the connection closes before. */
  until(part: string, times?: number): Promise<string>;
}

/** A connection on which bytes are written as they are; what comes back is collected as latin1. */
export async function dial(port: number, bytes: string | Uint8Array = ""): Promise<RawClient> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  const wake: (() => void)[] = [];
  const notify = (): void => {
    for (const call of wake.splice(0)) call();
  };
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    notify();
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.once("close", notify);
  await once(socket, "connect");
  if (bytes.length > 0) socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  const until = async (part: string, times = 1): Promise<string> => {
    while (text.split(part).length <= times) {
      if (socket.destroyed) throw new Error(`closed before ${JSON.stringify(part)} came: ${JSON.stringify(text)}`);
      await new Promise<void>((resolve) => wake.push(resolve));
    }
    return text;
  };
  return { socket, text: () => text, closed, until };
}

/** Writes bytes, reads until the connection closes. */
export async function talk(port: number, bytes: string | Uint8Array): Promise<string> {
  const client = await dial(port, bytes);
  await client.closed;
  return client.text();
}
