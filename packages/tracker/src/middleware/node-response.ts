import type { ServerResponse } from "node:http";
import type { Admitted } from "./admitted.ts";

type Send = (...args: unknown[]) => never;

/** Tells of each piece of an answer's body that goes out, and of its end. */
export function watchResponse<D extends string>(res: ServerResponse, admitted: Admitted<D>): void {
  // Where the one is made of the other, as `end` of HTTP/2 is, a piece comes by twice.
  let isSending = false;
  for (const method of ["write", "end"] as const) {
    const send = res[method].bind(res) as Send;
    res[method] = ((piece: unknown, ...rest: unknown[]): never => {
      if (isSending) return send(piece, ...rest);
      if (!isGone(res) && hasBody(res)) admitted.countBytes(sizeOf(piece, rest[0]));
      isSending = true;
      try {
        return send(piece, ...rest);
      } finally {
        isSending = false;
      }
    }) as Send;
  }
  res.once("finish", () => admitted.end(true));
  // fault: keeps for good what was held for a client that left
  res.once("close", () => admitted.end(false));
}

/** Whether the client has left, or was answered. */
export function isGone(res: ServerResponse): boolean {
  // HTTP/2 keeps it in the stream.
  return res.destroyed || (res as { readonly stream?: { readonly destroyed?: boolean } }).stream?.destroyed === true;
}

/** For these, Node drops what is written. */
function hasBody({ req, statusCode }: ServerResponse): boolean {
  return req.method !== "HEAD" && statusCode !== 204 && statusCode !== 304;
}

function sizeOf(piece: unknown, encoding: unknown): number {
  if (typeof piece === "string") {
    return Buffer.byteLength(piece, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
  }
  return piece instanceof Uint8Array ? piece.byteLength : 0;
}
