import { createHash, timingSafeEqual } from "node:crypto";
import type { BodySeal } from "./client-identity.ts";
import { headerOf, withoutHeader } from "./s3-signer.ts";
import { hmacHex, sha256Hex, UNSIGNED_PAYLOAD } from "./signature-v4.ts";

// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html

const LONGEST_LINE = 1_024;
/** S3 takes no chunks below 8 KiB but the last one. */
const FRAME_BYTES = 65_536;
const EMPTY_HASH = sha256Hex("");

export interface UnsignedBodyOptions {
  /** How long the body is without its chunks. */
  readonly length: number;
  /** Whether headers, such as a checksum, follow the body. */
  readonly hasTrailer: boolean;
  /** What its chunks are verified by; undefined where nobody knows the key. */
  readonly seal: BodySeal | undefined;
}

/** The body is not what was signed, or is no `aws-chunked`. */
export class SealError extends Error {
  override readonly name = "SealError";
  readonly code: "SignatureDoesNotMatch" | "IncompleteBody";

  constructor(code: "SignatureDoesNotMatch" | "IncompleteBody", message: string) {
    super(message);
    this.code = code;
  }
}

type State = "size" | "data" | "data-end" | "trailer" | "over";

/**
 * Takes the signatures out of a body of signed chunks (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`), and verifies them as it streams. Nothing
 * more of it is kept than a piece. The last piece leaves once all signatures are right, so that nobody takes what was forged for whole.
 * Headers that follow the body follow it still, in chunks that are not signed.
 */
export class UnsignedBody {
  readonly #options: UnsignedBodyOptions;
  #state: State = "size";
  #line = "";
  #left = 0;
  #decoded = 0;
  #signature = "";
  #previous: string;
  #hash = createHash("sha256");
  #trailer: string[] = [];
  #out: Buffer[] = [];
  #outBytes = 0;

  constructor(options: UnsignedBodyOptions) {
    this.#options = options;
    this.#previous = options.seal?.signature ?? "";
  }

  /** Headers of a request that is sent with such a body. */
  headersFor(before: readonly string[]): string[] {
    const { length, hasTrailer } = this.#options;
    let headers = withoutHeader(withoutHeader(before, "x-amz-content-sha256"), "content-length");
    if (hasTrailer) return [...headers, "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"];
    const coding = headerOf(headers, "content-encoding");
    headers = withoutHeader(withoutHeader(headers, "content-encoding"), "x-amz-decoded-content-length");
    const others = (coding ?? "")
      .split(",")
      .map((one) => one.trim())
      .filter((one) => one !== "" && one.toLowerCase() !== "aws-chunked");
    if (others.length > 0) headers.push("content-encoding", others.join(","));
    return [...headers, "content-length", String(length), "x-amz-content-sha256", UNSIGNED_PAYLOAD];
  }

  /**
   * Takes a piece of the body as it came.
   *
   * @returns what is sent of it, perhaps nothing.
   * @throws SealError
   */
  push(chunk: Buffer): Buffer {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === "data") at = this.#takeData(chunk, at);
      else at = this.#takeLine(chunk, at);
    }
    return this.#release(false);
  }

  /**
   * The body is over.
   *
   * @returns the rest of what is sent.
   * @throws SealError
   */
  end(): Buffer {
    if (this.#state !== "over") throw incomplete("it ends before its last chunk");
    return this.#release(true);
  }

  #takeData(chunk: Buffer, at: number): number {
    const piece = chunk.subarray(at, at + this.#left);
    this.#left -= piece.length;
    this.#decoded += piece.length;
    if (this.#decoded > this.#options.length) throw incomplete("it is longer than x-amz-decoded-content-length");
    if (this.#options.seal !== undefined) this.#hash.update(piece);
    this.#out.push(piece);
    this.#outBytes += piece.length;
    if (this.#left === 0) {
      this.#verify(this.#hash.digest("hex"));
      this.#hash = createHash("sha256");
      this.#state = "data-end";
    }
    return at + piece.length;
  }

  #takeLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(0x0a, at);
    const part = chunk.subarray(at, end === -1 ? chunk.length : end + 1);
    this.#line += part.toString("latin1");
    if (this.#line.length > LONGEST_LINE) throw incomplete("a line of it is too long");
    if (end !== -1) {
      const line = this.#line;
      this.#line = "";
      if (!line.endsWith("\r\n")) throw incomplete("a line of it does not end in CR LF");
      this.#lineCame(line.slice(0, -2));
    }
    return at + part.length;
  }

  #lineCame(line: string): void {
    if (this.#state === "size") this.#begin(line);
    else if (this.#state === "data-end") {
      if (line !== "") throw incomplete("a chunk of it is longer than its size");
      this.#state = "size";
    } else if (this.#state === "trailer" && line !== "") this.#trailerCame(line);
    else if (this.#state === "trailer") this.#over();
    else if (line !== "") throw incomplete("something follows its last chunk");
  }

  #begin(line: string): void {
    const [, size, signature = ""] = /^([0-9A-Fa-f]{1,13})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line) ?? [];
    if (size === undefined) throw incomplete("a chunk of it has no size");
    this.#left = Number.parseInt(size, 16);
    this.#signature = signature;
    if (this.#left > 0) this.#state = "data";
    else {
      if (this.#decoded !== this.#options.length) throw incomplete("it is shorter than x-amz-decoded-content-length");
      this.#verify(EMPTY_HASH);
      this.#state = "trailer";
    }
  }

  #trailerCame(line: string): void {
    if (this.#trailer.length >= 16) throw incomplete("too many headers follow it");
    this.#trailer.push(line);
  }

  #over(): void {
    const { seal, hasTrailer } = this.#options;
    const last = this.#trailer.findIndex((line) => /^x-amz-trailer-signature:/i.test(line));
    const [signed] = last === -1 ? [] : this.#trailer.splice(last, 1);
    if (seal !== undefined && hasTrailer) {
      const fields = this.#trailer.map(
        (line) => `${line.replace(/\s*:\s*/, ":").replace(/^[^:]*/, (name) => name.toLowerCase())}\n`,
      );
      const text = ["AWS4-HMAC-SHA256-TRAILER", seal.time, seal.scope, this.#previous, sha256Hex(fields.join(""))];
      this.#compare(signed?.slice(signed.indexOf(":") + 1).trim() ?? "", hmacHex(seal.key, text.join("\n")));
    }
    this.#state = "over";
  }

  #verify(hash: string): void {
    const { seal } = this.#options;
    if (seal === undefined) return;
    const text = ["AWS4-HMAC-SHA256-PAYLOAD", seal.time, seal.scope, this.#previous, EMPTY_HASH, hash];
    const expected = hmacHex(seal.key, text.join("\n"));
    this.#compare(this.#signature, expected);
    this.#previous = expected;
  }

  #compare(given: string, expected: string): void {
    // fault: takes chunks for signed that somebody else has written
    if (given.length !== expected.length || !timingSafeEqual(Buffer.from(given), Buffer.from(expected))) {
      throw new SealError(
        "SignatureDoesNotMatch",
        "The signature of a chunk of the body is not the one that it must have.",
      );
    }
  }

  /** What may leave now: with a trailer in frames, and the last piece only once everything is verified. */
  #release(isOver: boolean): Buffer {
    const { hasTrailer, length } = this.#options;
    // fault: sends the end of a body before its signatures are verified
    if (!isOver && (hasTrailer ? this.#outBytes < FRAME_BYTES : this.#decoded === length)) return EMPTY;
    const data = Buffer.concat(this.#out);
    this.#out = [];
    this.#outBytes = 0;
    if (!hasTrailer) return data;
    const frame = data.length === 0 ? [] : [Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from("\r\n")];
    if (isOver) frame.push(Buffer.from(["0", ...this.#trailer, "", ""].join("\r\n")));
    return Buffer.concat(frame);
  }
}

const EMPTY = Buffer.alloc(0);

function incomplete(why: string): SealError {
  return new SealError("IncompleteBody", `The body is no aws-chunked: ${why}.`);
}
