import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "@usage/counter-core";
import type { BackendAuth, BackendConfig, BackendHeaders } from "../config/proxy-config.ts";
import type { RequestBody } from "../proxy/request-body.ts";
import type { BodySeal, ClientIdentity } from "./client-identity.ts";
import { type CredentialsRefusal, plainRefusal, s3Refusal } from "./credentials-refusal.ts";
import { isOwnHeader, withoutOwnHeaders, withoutOwnParameters } from "./own-credentials.ts";
import { headerOf, S3Signer, withoutHeader } from "./s3-signer.ts";
import { splitTarget } from "./signature-v4.ts";
import { UnsignedBody } from "./signed-chunks.ts";

/** A request as it is sent. Its headers are `name, value, name, value, ...`. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
  readonly body: RequestBody | null;
}

/** Which headers of a request are changed for one backend, and how the proxy shows it who it is. */
export class BackendCredentials {
  readonly #set: BackendHeaders["set"];
  readonly #dropped: ReadonlySet<string>;
  readonly #auth: BackendAuth | undefined;
  readonly #signer: S3Signer | undefined;
  readonly #dropsOwn: boolean;

  constructor({ headers = {}, auth }: Pick<BackendConfig, "headers" | "auth">, clock: Clock) {
    const { set = new Map(), remove = [] } = headers;
    this.#set = set;
    this.#dropped = new Set([...set.keys(), ...remove]);
    this.#auth = auth;
    this.#signer = auth?.kind === "s3" ? new S3Signer(auth, clock) : undefined;
    this.#dropsOwn = hasCredentials({ headers, ...(auth && { auth }) });
  }

  /** Whether requests are signed for S3. */
  get signs(): boolean {
    return this.#signer !== undefined;
  }

  /** Whether the backend gets the proxy's own credentials, and none of a client's. */
  get dropsOwn(): boolean {
    return this.#dropsOwn;
  }

  /** The path of the backend for one that a client asked for: with the backend's own bucket. */
  pathFor(target: string): string {
    const bucket = this.#auth?.kind === "s3" ? this.#auth.bucket : undefined;
    return bucket === undefined ? target : inBucket(target, bucket);
  }

  /**
   * A request with the backend's headers and credentials in place of what the client sent for itself.
   *
   * @param host the backend's, where the headers name none.
   * @param client whom the proxy knows; undefined where it knows nobody.
   */
  apply(request: Sent, host: string, client: ClientIdentity | undefined): Sent {
    const { method, body } = request;
    // Whoever is asked so sends back all that it got.
    // fault: has backends show the proxy's credentials to clients
    if (method === "TRACE") return withoutOwn(request);
    const inQuery = this.signs && /[?&]x-amz-signature=/i.test(request.path);
    let { path, headers } = this.#dropsOwn || client !== undefined ? withoutOwn(request) : request;
    if (this.#dropped.size > 0) headers = this.#withoutDropped(headers);
    for (const [name, value] of this.#set ?? []) headers.push(name, value.reveal());
    if (this.#auth?.kind === "bearer") headers.push("authorization", `Bearer ${this.#auth.token.reveal()}`);
    if (this.#signer !== undefined) {
      if (body !== null) headers = unsealed(headers, body, client?.seal);
      const named = headerOf(headers, "host") !== undefined;
      const unsigned = { method, target: path, headers: named ? headers : [...headers, "host", host], inQuery };
      const signed = this.#signer.sign({ ...unsigned, headers: this.#withBucket(unsigned.headers) });
      path = signed.target;
      headers = named ? signed.headers : withoutHeader(signed.headers, "host");
    }
    return { method, path, headers, body };
  }

  /** Whether an answer may say that the backend does not accept these credentials; undefined where it does not. */
  refusalIn(status: number, headers: IncomingHttpHeaders): CredentialsRefusal | undefined {
    if (!this.#dropsOwn) return undefined;
    return this.signs ? s3Refusal(status, headers) : plainRefusal(status);
  }

  /** The headers of an answer without what signs a request: S3 redirects to the whole link that it was asked by. */
  shown(headers: IncomingHttpHeaders): IncomingHttpHeaders {
    const { location } = headers;
    if (!this.signs || location === undefined) return headers;
    // fault: leads clients to a provider by a link that the proxy has signed
    return { ...headers, location: withoutOwnParameters(location) };
  }

  #withoutDropped(headers: readonly string[]): string[] {
    const kept: string[] = [];
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const name = headers[at] as string;
      if (!this.#dropped.has(name.toLowerCase())) kept.push(name, headers[at + 1] as string);
    }
    return kept;
  }

  /** A copy is made from the backend's own bucket, too. */
  #withBucket(headers: readonly string[]): readonly string[] {
    const bucket = this.#auth?.kind === "s3" ? this.#auth.bucket : undefined;
    const source = bucket === undefined ? undefined : headerOf(headers, "x-amz-copy-source");
    if (bucket === undefined || source === undefined) return headers;
    const path = source.startsWith("/") ? source : `/${source}`;
    return [...withoutHeader(headers, "x-amz-copy-source"), "x-amz-copy-source", inBucket(path, bucket)];
  }
}

/** Whether a backend gets the proxy's own credentials. A key in a header of its own, such as Anthropic's, is as much one as `auth` is. */
export function hasCredentials({ headers, auth }: Pick<BackendConfig, "headers" | "auth">): boolean {
  return auth !== undefined || [...(headers?.set?.keys() ?? [])].some(isOwnHeader);
}

/** The credentials of a backend; undefined where it has none and what clients send is passed on. */
export function credentialsOf(
  backend: Pick<BackendConfig, "headers" | "auth">,
  clock: Clock,
): BackendCredentials | undefined {
  const isPlain = backend.headers === undefined && backend.auth === undefined;
  return isPlain ? undefined : new BackendCredentials(backend, clock);
}

/** A request without what the client sent for itself. */
export function withoutOwn<T extends { readonly path: string; readonly headers: string[] }>(request: T): T {
  return { ...request, path: withoutOwnParameters(request.path), headers: withoutOwnHeaders(request.headers) };
}

function inBucket(target: string, bucket: string): string {
  const [path] = splitTarget(target);
  // The list of all buckets is in none.
  return path === "/" ? target : target.replace(/^\/[^/?]*/, `/${bucket}`);
}

/**
 * Chunks that are signed are signed by the client's key: they are verified, and sent on without their signatures. Returns the
 * headers of what is sent.
 */
function unsealed(headers: string[], body: RequestBody, seal: BodySeal | undefined): string[] {
  const payload = headerOf(headers, "x-amz-content-sha256");
  if (payload?.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") !== true) {
    body.decode(undefined);
    return headers;
  }
  const decoded = new UnsignedBody({
    length: Number(headerOf(headers, "x-amz-decoded-content-length")),
    hasTrailer: payload.endsWith("-TRAILER"),
    seal,
  });
  body.decode(decoded);
  return decoded.headersFor(headers);
}
