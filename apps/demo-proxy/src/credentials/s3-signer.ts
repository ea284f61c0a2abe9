import type { KeyObject } from "node:crypto";
import type { Clock } from "@usage/counter-core";
import { isOwnParameter } from "./own-credentials.ts";
import type { Secret } from "./secret.ts";
import {
  ALGORITHM,
  canonicalPath,
  canonicalQuery,
  encodePart,
  type Scope,
  type Signable,
  signatureOf,
  signatureTime,
  signedNames,
  signingKey,
  splitTarget,
  UNSIGNED_PAYLOAD,
} from "./signature-v4.ts";

export interface S3Account {
  readonly region: string;
  readonly accessKeyId: Secret;
  readonly secretAccessKey: Secret;
}

/** A request that is to be signed. Its headers are `name, value, name, value, ...`, `Host` among them. */
export interface Unsigned {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  /** Whether the signature stands in the query, as that of the client's link did: what else is in there means the same then. */
  readonly inQuery: boolean;
}

/** How long a signature in a query is good for. The request is sent at once. */
const LINK_SECONDS = 300;

/** Signs requests with the key of one account of S3. The key of a day is made once. */
export class S3Signer {
  readonly #account: S3Account;
  readonly #clock: Clock;
  /** Of one day. */
  #scoped: { readonly scope: string; readonly key: KeyObject } | undefined;

  constructor(account: S3Account, clock: Clock) {
    this.#account = account;
    this.#clock = clock;
  }

  /** The target and headers with a signature; `x-amz-content-sha256` says what is signed of the body, by default nothing. */
  sign({ method, target, headers, inQuery }: Unsigned): { readonly target: string; readonly headers: string[] } {
    const { accessKeyId, region } = this.#account;
    const time = signatureTime(this.#clock.now());
    const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
    const credential = `${accessKeyId.reveal()}/${scope}`;
    const [rawPath, rawQuery] = splitTarget(target);
    const path = canonicalPath(rawPath);
    const query = canonicalQuery(rawQuery, isOwnParameter);
    const signed = { method, path, time, scope };
    return inQuery
      ? this.#inQuery(signed, query, headers, credential)
      : this.#inHeader(signed, query, headers, credential);
  }

  #inHeader(
    { method, path, time, scope }: Signed,
    query: string,
    before: readonly string[],
    credential: string,
  ): { readonly target: string; readonly headers: string[] } {
    const hashed = headerOf(before, "x-amz-content-sha256");
    const headers = [...before, "x-amz-date", time];
    if (hashed === undefined) headers.push("x-amz-content-sha256", UNSIGNED_PAYLOAD);
    const request = { method, path, query, headers: signedHeaders(headers), payload: hashed ?? UNSIGNED_PAYLOAD };
    const signature = this.#signature(request, { time, scope });
    const parts = [
      `Credential=${credential}`,
      `SignedHeaders=${signedNames(request.headers)}`,
      `Signature=${signature}`,
    ];
    headers.push("authorization", `${ALGORITHM} ${parts.join(", ")}`);
    return { target: targetOf(path, query), headers };
  }

  #inQuery(
    { method, path, time, scope }: Signed,
    before: string,
    given: readonly string[],
    credential: string,
  ): { readonly target: string; readonly headers: string[] } {
    const headers = withoutHeader(given, "x-amz-content-sha256");
    const covered = signedHeaders(headers);
    const own = [
      `X-Amz-Algorithm=${ALGORITHM}`,
      `X-Amz-Credential=${encodePart(credential)}`,
      `X-Amz-Date=${time}`,
      `X-Amz-Expires=${LINK_SECONDS}`,
      `X-Amz-SignedHeaders=${encodePart(signedNames(covered))}`,
    ].join("&");
    const query = canonicalQuery(before === "" ? own : `${before}&${own}`, () => false);
    const request = { method, path, query, headers: covered, payload: UNSIGNED_PAYLOAD };
    const signature = this.#signature(request, { time, scope });
    return { target: targetOf(path, `${query}&X-Amz-Signature=${signature}`), headers };
  }

  #signature(request: Signable, at: Scope): string {
    const { scope } = at;
    if (this.#scoped?.scope !== scope) {
      this.#scoped = { scope, key: signingKey(`AWS4${this.#account.secretAccessKey.reveal()}`, scope) };
    }
    return signatureOf(request, at, this.#scoped.key);
  }
}

type Signed = Pick<Signable, "method" | "path"> & Scope;

function targetOf(path: string, query: string): string {
  return query === "" ? path : `${path}?${query}`;
}

/** What S3 wants signed: `Host`, and all headers of its own. */
function signedHeaders(headers: readonly string[]): Signable["headers"] {
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] as string).toLowerCase();
    if (name !== "host" && name !== "content-md5" && !name.startsWith("x-amz-")) continue;
    const value = (headers[at + 1] as string).trim();
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The value of the first header of this name, in lower case. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if ((headers[at] as string).toLowerCase() === name) return headers[at + 1];
  }
  return undefined;
}

/** The headers without those of this name, in lower case. */
export function withoutHeader(headers: readonly string[], name: string): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if ((headers[at] as string).toLowerCase() !== name) kept.push(headers[at] as string, headers[at + 1] as string);
  }
  return kept;
}
