import type { KeyObject } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { ClientConfig } from "../config/proxy-config.ts";
import { type Problem, UNAUTHENTICATED } from "../proxy/answers/problem.ts";
import type { ClientIdentity } from "./client-identity.ts";
import { keyFingerprint } from "./client-key.ts";
import { isSignedForS3, verifyS3 } from "./s3-verifier.ts";

/** Headers that hold a key and nothing else: Anthropic's, Azure's and Google's. */
const KEY_HEADERS = ["x-api-key", "api-key", "x-goog-api-key"] as const;

/** The clients of the proxy, each known by a key of its own. */
export class Clients {
  readonly #byKey = new Map<string, ClientConfig>();
  readonly #byName = new Map<string, ClientConfig>();

  constructor(clients: readonly ClientConfig[]) {
    for (const client of clients) {
      this.#byKey.set(client.key.fingerprint, client);
      this.#byName.set(client.name, client);
    }
  }

  /**
   * The client that a request is from, by a key in `Authorization` (as a bearer's token, or as the password of whatever user) or in the
   * header of an API, or by a signature of S3; else the answer that it gets.
   *
   * @param hosts what the client may have called this proxy.
   */
  identify(request: IncomingMessage, hosts: readonly string[], nowMs: number): ClientIdentity | Problem {
    if (isSignedForS3(request)) return verifyS3(request, hosts, nowMs, (name, scope) => this.#signingKey(name, scope));
    for (const key of keysOf(request.headers)) {
      // What is looked up is a keyed hash: how long that takes tells nothing of a key.
      // fault: takes every key for that of a client
      const client = this.#byKey.get(keyFingerprint(key));
      if (client !== undefined) return { name: client.name };
    }
    return UNAUTHENTICATED;
  }

  #signingKey(name: string, scope: string): KeyObject | null | undefined {
    const client = this.#byName.get(name);
    return client === undefined ? undefined : (client.key.signingKey(scope) ?? null);
  }
}

function* keysOf(headers: IncomingHttpHeaders): Generator<string> {
  const [, scheme = "", value = ""] = /^(\S+) +(\S+)$/.exec(headers.authorization ?? "") ?? [];
  if (/^bearer$/i.test(scheme)) yield value;
  if (/^basic$/i.test(scheme)) {
    const pair = Buffer.from(value, "base64").toString("utf8");
    yield pair.slice(pair.indexOf(":") + 1);
  }
  for (const name of KEY_HEADERS) {
    const key = headers[name];
    if (typeof key === "string") yield key;
  }
}
