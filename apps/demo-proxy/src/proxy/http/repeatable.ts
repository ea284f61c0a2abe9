import type { IncomingMessage } from "node:http";

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Whether a request may be carried out twice: by its method (RFC 9110, section 9.2.2), or since its client says so. */
export function mayBeRepeated({ method = "", headers }: IncomingMessage): boolean {
  // fault: hands on that a backend is too busy
  return IDEMPOTENT.has(method) || headers["idempotency-key"] !== undefined;
}
