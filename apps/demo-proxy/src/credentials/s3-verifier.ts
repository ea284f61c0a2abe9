import { type KeyObject, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Problem } from "../proxy/answers/problem.ts";
import { s3Problem } from "../proxy/answers/s3-problem.ts";
import type { BodySeal } from "./client-identity.ts";
import {
  ALGORITHM,
  canonicalPath,
  canonicalQuery,
  parseSignatureTime,
  type Scope,
  type Signable,
  signatureOf,
  splitPair,
  splitTarget,
  UNSIGNED_PAYLOAD,
} from "./signature-v4.ts";

/** How far the clock of a client may be off, as with S3: a request that was seen is good for no longer either. */
const SKEW_MS = 15 * 60_000;
/** How long a link may be good for, as with S3. */
const LONGEST_LINK_S = 604_800;

/** The key of Signature V4 by the name of the client, for a day, region and service; null for a client whose key can sign nothing. */
export type SigningKeys = (name: string, scope: string) => KeyObject | null | undefined;

export interface S3Sender {
  readonly name: string;
  readonly seal?: BodySeal;
}

/** Whether a request shows who it is from by a signature, in whatever version. */
export function isSignedForS3({ headers: { authorization }, url = "" }: IncomingMessage): boolean {
  if (authorization !== undefined && /^AWS4?[- ]/.test(authorization)) return true;
  return url.includes("?") && /[?&](?:x-amz-(?:signature|algorithm|credential)|awsaccesskeyid)=/i.test(url);
}

/**
 * The sender of a request by its signature (AWS Signature Version 4, in `Authorization` or in the query), or the error that S3 has
 * for it. It covers method, path, query, `Host`, what the client names and all headers of S3; of the body, what
 * `x-amz-content-sha256` says.
 *
 * @param hosts what the client may have called this proxy.
 */
export function verifyS3(
  request: IncomingMessage,
  hosts: readonly string[],
  nowMs: number,
  keys: SigningKeys,
): S3Sender | Problem {
  const claim = claimOf(request);
  if ("status" in claim) return claim;
  const { credential, signedHeaders, time, signature, payload, isLink } = claim;
  const [name = "", ...scope] = credential.split("/");
  const [day, , service, end] = scope;
  if (scope.length !== 4 || service !== "s3" || end !== "aws4_request" || !time.startsWith(`${day}T`)) return MALFORMED;
  const refusal = refusalByTime(claim, nowMs) ?? refusalByHeaders(request, signedHeaders);
  if (refusal !== undefined) return refusal;
  const at = { time, scope: scope.join("/") };
  const key = keys(name, at.scope);
  if (key === undefined) return UNKNOWN_KEY;
  if (key === null) return HASHED_KEY;
  // fault: takes whoever names a client for that client
  if (!isSignedBy(key, at, claim, variantsOf(request, claim, hosts))) return MISMATCH;
  if (payload.startsWith("STREAMING-AWS4-ECDSA")) return NO_ECDSA;
  return !isLink && payload.startsWith("STREAMING-AWS4-") ? { name, seal: { ...at, signature, key } } : { name };
}

interface Claim {
  readonly credential: string;
  readonly signedHeaders: readonly string[];
  readonly time: string;
  readonly signature: string;
  readonly payload: string;
  /** Whether it stands in the query, and for how many seconds it is good. */
  readonly isLink: boolean;
  readonly expires: string;
}

function claimOf(request: IncomingMessage): Claim | Problem {
  const { headers, url = "" } = request;
  const { authorization } = headers;
  const [, query] = splitTarget(url);
  const parameters = parametersOf(query);
  const isLink = ["X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential"].some((name) => parameters.has(name));
  if (isLink && authorization !== undefined) return TWO_SIGNATURES;
  if (isLink) {
    const of = (name: string): string => parameters.get(name) ?? "";
    if (of("X-Amz-Algorithm") !== ALGORITHM) return UNSUPPORTED;
    return {
      credential: of("X-Amz-Credential"),
      signedHeaders: of("X-Amz-SignedHeaders").split(";"),
      time: of("X-Amz-Date"),
      signature: of("X-Amz-Signature"),
      payload:
        parameters.get("X-Amz-Content-Sha256") ?? headers["x-amz-content-sha256"]?.toString() ?? UNSIGNED_PAYLOAD,
      isLink,
      expires: of("X-Amz-Expires"),
    };
  }
  if (authorization?.startsWith(`${ALGORITHM} `) !== true) return UNSUPPORTED;
  const parts = new Map(
    authorization
      .slice(ALGORITHM.length)
      .split(",")
      .map((part) => splitPair(part.trim())),
  );
  const payload = headers["x-amz-content-sha256"]?.toString();
  if (payload === undefined) return NO_HASH;
  return {
    credential: parts.get("Credential") ?? "",
    signedHeaders: (parts.get("SignedHeaders") ?? "").split(";"),
    time: headers["x-amz-date"]?.toString() ?? "",
    signature: parts.get("Signature") ?? "",
    payload,
    isLink,
    expires: "",
  };
}

function parametersOf(query: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pair of query.split("&")) {
    const [name, value] = splitPair(pair);
    if (found.has(name)) continue;
    try {
      found.set(name, decodeURIComponent(value));
    } catch {
      found.set(name, value);
    }
  }
  return found;
}

function refusalByTime({ time, isLink, expires }: Claim, nowMs: number): Problem | undefined {
  const signedMs = parseSignatureTime(time);
  if (signedMs === undefined) return isLink ? BAD_LINK : MALFORMED;
  // fault: takes requests that were signed whenever
  if (!isLink) return Math.abs(nowMs - signedMs) > SKEW_MS ? SKEWED : undefined;
  const seconds = /^\d{1,6}$/.test(expires) ? Number(expires) : 0;
  if (seconds < 1 || seconds > LONGEST_LINK_S) return BAD_LINK;
  if (signedMs - nowMs > SKEW_MS) return NOT_YET;
  // fault: takes links that have expired
  return nowMs >= signedMs + seconds * 1_000 ? EXPIRED : undefined;
}

function refusalByHeaders({ headers }: IncomingMessage, signed: readonly string[]): Problem | undefined {
  // fault: takes headers that are not signed
  for (const name in headers) {
    if (name.startsWith("x-amz-") && name !== "x-amz-cf-id" && !signed.includes(name)) return NOT_SIGNED;
  }
  return signed.includes("host") ? undefined : NOT_SIGNED;
}

function isSignedBy(key: KeyObject, at: Scope, { signature }: Claim, variants: Iterable<Signable>): boolean {
  for (const one of variants) if (isEqual(signatureOf(one, at, key), signature)) return true;
  return false;
}

/** What the client may have signed: it is encoded as S3 says, or else as it came. */
function* variantsOf(request: IncomingMessage, claim: Claim, hosts: readonly string[]): Generator<Signable> {
  const [path, query] = splitTarget(request.url ?? "");
  const isSignature = (name: string): boolean => name === "X-Amz-Signature";
  const encoded = [canonicalPath(path), canonicalQuery(query, isSignature)] as const;
  const raw = [path, rawQuery(query, isSignature)] as const;
  const differs = raw[0] !== encoded[0] || raw[1] !== encoded[1];
  for (const host of hosts) {
    const headers = claim.signedHeaders.map(
      (name) => [name, name === "host" ? host : signedValue(request, name)] as const,
    );
    const { method = "GET" } = request;
    for (const [path, query] of differs ? [encoded, raw] : [encoded]) {
      yield { method, path, query, headers, payload: claim.payload };
    }
  }
}

function rawQuery(query: string, drop: (name: string) => boolean): string {
  const pairs = query.split("&").filter((pair) => pair !== "" && !drop(splitPair(pair)[0]));
  return pairs
    .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
    .sort()
    .join("&");
}

function signedValue({ headersDistinct }: IncomingMessage, name: string): string {
  return headersDistinct[name]?.map((value) => value.trim()).join(",") ?? "";
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a, "latin1"), Buffer.from(b, "latin1"));
}

const MISMATCH = s3Problem(
  403,
  "SignatureDoesNotMatch",
  "The signature is not the one that this request must have. Check the key, and that nothing on the way changes Host, path, query or headers.",
);
const UNKNOWN_KEY = s3Problem(
  403,
  "InvalidAccessKeyId",
  "The access key id is not the name of a client of this proxy.",
);
const HASHED_KEY = s3Problem(
  403,
  "InvalidAccessKeyId",
  "Of this client the proxy knows only the hash of its key, by which no signature can be verified.",
);
const MALFORMED = s3Problem(
  400,
  "AuthorizationHeaderMalformed",
  "Expected Credential=NAME/DATE/REGION/s3/aws4_request, SignedHeaders, Signature and X-Amz-Date of the same day.",
);
const BAD_LINK = s3Problem(
  400,
  "AuthorizationQueryParametersError",
  "Expected X-Amz-Date such as 20261128T213000Z, and X-Amz-Expires from 1 to 604800 seconds.",
);
const SKEWED = s3Problem(
  403,
  "RequestTimeTooSkewed",
  "The request was signed more than 15 minutes ago, or is from the future.",
);
const EXPIRED = s3Problem(403, "AccessDenied", "Request has expired");
const NOT_YET = s3Problem(403, "AccessDenied", "Request is not valid yet");
const NOT_SIGNED = s3Problem(403, "AccessDenied", "There were headers present in the request which were not signed");
const TWO_SIGNATURES = s3Problem(400, "InvalidArgument", "Only one of Authorization and X-Amz-Algorithm can be given.");
const UNSUPPORTED = s3Problem(
  400,
  "InvalidRequest",
  "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
);
const NO_HASH = s3Problem(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
const NO_ECDSA = s3Problem(
  501,
  "NotImplemented",
  "Bodies that are signed by AWS4-ECDSA-P256-SHA256 are not supported.",
);
