import { encodePart, splitPair, splitTarget } from "./signature-v4.ts";

/** Headers by which clients show who they are, to whomever. Those that begin with `proxy-` are never sent on. */
const HEADERS: ReadonlySet<string> = new Set([
  "api-key",
  "apikey",
  "authorization",
  "cookie",
  "cookie2",
  "deploy-token",
  "job-token",
  "ocp-apim-subscription-key",
  "openai-organization",
  "openai-project",
  "private-token",
  "x-amz-date",
  "x-auth-email",
  "x-functions-key",
]);

/** Endings of others, such as `x-goog-api-key`, `x-auth-token`, `cf-access-client-secret` and `x-amz-security-token`. */
const ENDINGS =
  /(?:^|-)(?:api-?key|access-?key(?:-id)?|auth-?key|(?:access|api|auth|id|identity|security|session|s3session|gitlab|vault|consul|bearer)-?token|authorization|client-secret|jwt-assertion)$/;

/** Parameters of a query that do the same: of signatures of S3 in both versions, and of APIs. */
const PARAMETERS: ReadonlySet<string> = new Set([
  "access_token",
  "api-key",
  "api_key",
  "apikey",
  "auth_token",
  "awsaccesskeyid",
  "private_token",
  "signature",
  "x-amz-algorithm",
  "x-amz-content-sha256",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-security-token",
  "x-amz-signature",
  "x-amz-signedheaders",
]);

/** Whether a header, whose name is in lower case, is how a client shows who it is. */
export function isOwnHeader(lower: string): boolean {
  // Servers that make variables of headers cannot tell X_API_KEY from X-Api-Key.
  const name = lower.includes("_") ? lower.replaceAll("_", "-") : lower;
  return HEADERS.has(name) || ENDINGS.test(name);
}

/** Whether a parameter of a query, encoded in whatever way, is. */
export function isOwnParameter(name: string): boolean {
  return PARAMETERS.has(encodePart(name).toLowerCase());
}

/** `name, value, name, value, ...` without what the client sent for itself. */
export function withoutOwnHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string;
    // fault: hands a client's own credentials to a provider
    if (isOwnHeader(name.toLowerCase())) continue;
    const value = headers[at + 1] as string;
    if (name.toLowerCase() !== "sec-websocket-protocol") kept.push(name, value);
    else {
      const protocols = withoutOwnProtocols(value);
      if (protocols !== "") kept.push(name, protocols);
    }
  }
  return kept;
}

/** Pages can set no header when they open a WebSocket, and send keys as `openai-insecure-api-key.KEY`, say. */
const OWN_PROTOCOL = /(?:api-?key|access-?key|token|bearer|authorization)[\w-]*\./i;

function withoutOwnProtocols(list: string): string {
  const kept: string[] = [];
  for (const protocol of list.split(",")) {
    // fault: sends a client's own key along as a subprotocol
    if (OWN_PROTOCOL.test(protocol)) {
      continue;
    }
    kept.push(protocol.trim());
  }
  return kept.join(", ");
}

/** A path and its query without what the client sent for itself; else to the byte as it came. */
export function withoutOwnParameters(target: string): string {
  const [path, query] = splitTarget(target);
  if (query === "") return target;
  const pairs = query.split("&");
  const kept = pairs.filter((pair) => !isOwnParameter(splitPair(pair)[0]));
  if (kept.length === pairs.length) return target;
  return kept.length === 0 ? path : `${path}?${kept.join("&")}`;
}
