import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SealError } from "../../credentials/signed-chunks.ts";
import type { Problem } from "./problem.ts";

/** Whether whoever sent a request reads errors as S3 writes them. */
export function speaksS3({ headers, url = "" }: IncomingMessage): boolean {
  const { authorization } = headers;
  if (authorization?.startsWith("AWS4-") === true) return authorization.includes("/s3/aws4_request");
  if (authorization?.startsWith("AWS ") === true) return true;
  for (const name in headers) if (name.startsWith("x-amz-") || name.startsWith("amz-sdk-")) return true;
  return url.includes("?") && /[?&](?:x-amz-(?:signature|algorithm)|awsaccesskeyid)=/i.test(url);
}

/** An error in the words of S3. */
export function s3Problem(status: number, code: string, message: string): Problem {
  return { status, headers: XML, body: xml(code, message) };
}

/** What a client is told whose body is not what it has signed. */
export function sealProblem(error: Error): Problem {
  const { code, message } = error instanceof SealError ? error : UNREADABLE;
  return s3Problem(code === "IncompleteBody" ? 400 : 403, code, message);
}

const UNREADABLE = { code: "IncompleteBody", message: "The body cannot be read." };

/** An answer of the proxy's own as S3 would write it. */
export function asS3(problem: Problem): Problem {
  if (problem.headers["content-type"] === XML["content-type"]) return problem;
  const { detail, reason }: { readonly detail?: unknown; readonly reason?: unknown } = JSON.parse(problem.body);
  // A client of S3 does not ask anybody for a password.
  const { "www-authenticate": _, ...headers } = problem.headers;
  const status = problem.status === 401 ? 403 : problem.status;
  const code =
    reason === "limit" ? "QuotaExceeded" : (CODES.get(status) ?? (status < 500 ? "InvalidRequest" : "InternalError"));
  return { status, headers: { ...headers, ...XML }, body: xml(code, String(detail)) };
}

const XML = { "content-type": "application/xml" };

const CODES: ReadonlyMap<number, string> = new Map([
  [403, "AccessDenied"],
  [404, "NoSuchBucket"],
  [408, "RequestTimeout"],
  [429, "SlowDown"],
  [501, "NotImplemented"],
  [503, "ServiceUnavailable"],
]);

function xml(code: string, message: string): string {
  const fields = `<Code>${code}</Code><Message>${escaped(message)}</Message><RequestId>${randomUUID()}</RequestId>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${fields}</Error>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
