import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { CredentialsRefusal } from "../credentials/credentials-refusal.ts";
import type { Attempt } from "./attempt.ts";
import { ClientResponse } from "./http/client-response.ts";
import { responseHeaders } from "./http/headers.ts";
import { isKeptAlive } from "./http/keep-alive.ts";
import type { Addressee } from "./http/upstream-addresses.ts";
import type { Upstream } from "./upstream/upstream.ts";

/** What an answer has to know of its request, and asks of it. */
export interface AnswerSource extends Addressee {
  /** The one that answers. */
  readonly upstream: Upstream | undefined;
  /** Whether the server is shutting down. */
  readonly closing: boolean;
  /** The `Keep-Alive` of its answers. */
  readonly keepAlive: string;
  /**
   * Leaves an upstream that is too busy, or has no room for so long an answer, for one that is well, where the request may be sent
   * again. Returns whether that is so.
   */
  sendElsewhere(busy: Upstream, responseLength?: number): boolean;
  /** The headers of an answer, with what is left to its client where that has limits. */
  paced(headers: string[]): string[];
  /** The client is well known, and the backend does not know the proxy: what it says of that is none of the client's business. */
  credentialsRefused(upstream: Upstream): void;
  /** The client takes more. */
  resume(): void;
}

/** An upstream's answer as it is passed to the client, unless it is one to the proxy's own credentials or finds no room. */
export class Answer extends ClientResponse {
  readonly #source: AnswerSource;
  /** Whether the answer that has begun may be one to the proxy's own credentials. */
  #refusal: CredentialsRefusal | undefined;
  #drains = false;

  constructor(response: ServerResponse, source: AnswerSource) {
    super(response);
    this.#source = source;
  }

  begin(attempt: Attempt, status: number, reason: string | undefined, headers: IncomingHttpHeaders): void {
    const { response } = this;
    const source = this.#source;
    const { upstream } = source;
    if (upstream === undefined) return;
    // fault: tells clients what a backend says of the proxy's credentials
    this.#refusal = upstream.credentials?.refusalIn(status, headers);
    if (this.#refusal?.isCertain) {
      this.#refuse(upstream);
      return;
    }
    const shown = shownHeaders(upstream, status, headers, source);
    const length = headers["content-length"];
    const bytes = length === undefined ? undefined : Number(length);
    const carriesBody = response.req.method !== "HEAD" && status !== 204 && status !== 304;
    if (source.closing) response.shouldKeepAlive = false;
    else if (isKeptAlive(response)) shown.push("keep-alive", source.keepAlive);
    const pass = (): void => {
      this.head(status, reason, source.paced(shown), carriesBody ? bytes : 0);
      // What the answer is about may only show in its body.
      if (carriesBody && this.#refusal !== undefined) this.keepHead();
    };
    if (!carriesBody || bytes === undefined || attempt.expectEgress(bytes)) pass();
    else if (!source.sendElsewhere(upstream, bytes)) attempt.expectSoon(bytes, pass);
  }

  /** @returns whether the client's connection takes more; after a false, the source is told when it does. */
  data(chunk: Buffer): boolean {
    const { upstream } = this.#source;
    if (this.#refusal !== undefined && upstream !== undefined) {
      const isRefusal = this.#refusal.isIn(chunk);
      this.#refusal = undefined;
      if (isRefusal) {
        this.#refuse(upstream);
        return false;
      }
    }
    if (this.write(chunk)) return true;
    if (!this.#drains) {
      this.#drains = true;
      this.response.on("drain", () => this.#source.resume());
    }
    return false;
  }

  #refuse(upstream: Upstream): void {
    this.dropHead();
    this.#source.credentialsRefused(upstream);
  }
}

/** The headers of an upstream's answer as the client gets them, without the proxy's credentials. */
export function shownHeaders(
  upstream: Upstream,
  status: number,
  headers: IncomingHttpHeaders,
  client: Addressee,
): string[] {
  return responseHeaders(upstream.credentials?.shown(headers) ?? headers, status, upstream.addresses, client);
}
