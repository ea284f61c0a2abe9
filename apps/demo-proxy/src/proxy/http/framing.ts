import type { IncomingMessage } from "node:http";

/** How long a request's body is, in bytes: declared (zero: there is none), or not known before its last chunk. */
export type BodyLength = number | "chunked";

/**
 * The length of a request's body as its head says it (RFC 9112, section 6.3), undefined where the head could be read in more
 * than one way. Node's parser refuses most of those itself; what it lets through is refused here: codings before `chunked`,
 * chunks from an HTTP/1.0 client, lengths past 2^53-1.
 */
export function bodyLengthOf(request: IncomingMessage): BodyLength | undefined {
  const coding = request.headers["transfer-encoding"];
  const declared = request.headers["content-length"];
  if (coding !== undefined) {
    const plain = coding.toLowerCase() === "chunked" && declared === undefined && request.httpVersion === "1.1";
    return plain ? "chunked" : undefined;
  }
  if (declared === undefined) return 0;
  const bytes = Number(declared);
  return /^\d+$/.test(declared) && Number.isSafeInteger(bytes) ? bytes : undefined;
}
