import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { crc32 } from "node:zlib";
import { startUpstream } from "../proxy/node-upstream.ts";
import { isSigned } from "./signature-v4.ts";

/** What a server of S3 saw of a request. */
export interface S3Arrival {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage["headers"];
  /** As it came, chunks and all. */
  readonly body: Buffer;
  readonly status: number;
  readonly answered: number;
}

export interface S3Server {
  readonly port: number;
  readonly arrivals: readonly S3Arrival[];
  /** By bucket and key, such as `bucket/key`. */
  readonly objects: ReadonlyMap<string, Buffer>;
}

/**
 * A server of S3 for one account, which holds its clients to their signatures as S3 does: with those of the head also the hash of the
 * body, its length, and the checksum that follows it. It knows what the SDK's uploads in parts, ranges and lists need.
 */
export async function startS3Server(account: { readonly id: string; readonly secret: string }): Promise<S3Server> {
  const arrivals: S3Arrival[] = [];
  const objects = new Map<string, Buffer>();
  const parts = new Map<string, Buffer>();

  async function answer(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const { method = "", url = "", headers } = request;
    const claimed = `${headers.authorization ?? ""} ${decodeURIComponent(url)}`;
    if (!claimed.includes(`Credential=${account.id}/`)) return failed(403, "InvalidAccessKeyId");
    // As S3 does, it tells the key by which it did not match.
    if (!isSigned(request, account.secret))
      return failed(403, "SignatureDoesNotMatch", tag("AWSAccessKeyId", account.id));
    const content = contentOf(request, body);
    if (content === undefined) return failed(400, "XAmzContentSHA256Mismatch");
    const [path = "", query = ""] = url.split("?", 2);
    const key = decodeURIComponent(path.slice(1));
    const asked = new URLSearchParams(query);
    const [upload, part] = [asked.get("uploadId"), asked.get("partNumber")];
    if (method === "POST" && asked.has("uploads")) return said(tag("UploadId", "one"), "InitiateMultipartUploadResult");
    if (method === "PUT" && upload !== null) {
      parts.set(`${upload}/${String(part).padStart(5, "0")}`, content);
      return { status: 200, headers: { etag: `"${part}"` }, body: "" };
    }
    if (method === "POST" && upload !== null) {
      const names = [...parts.keys()].filter((name) => name.startsWith(`${upload}/`)).sort();
      objects.set(key, Buffer.concat(names.map((name) => parts.get(name) ?? Buffer.alloc(0))));
      return said(tag("Key", escaped(key)) + tag("ETag", "whole"), "CompleteMultipartUploadResult");
    }
    const source = headers["x-amz-copy-source"];
    if (method === "PUT" && typeof source === "string") {
      const copied = objects.get(decodeURIComponent(source.replace(/^\//, "")));
      if (copied === undefined) return failed(404, "NoSuchKey");
      objects.set(key, copied);
      return said(tag("ETag", "copy"), "CopyObjectResult");
    }
    if (method === "PUT") {
      objects.set(key, content);
      return { status: 200, headers: { etag: '"1"' }, body: "" };
    }
    if (asked.get("list-type") === "2") {
      const names = [...objects.keys()].map((name) => name.split("/").slice(1).join("/"));
      return said(names.map((name) => tag("Contents", tag("Key", escaped(name)))).join(""), "ListBucketResult");
    }
    const found = objects.get(key);
    if (found === undefined) return failed(404, "NoSuchKey");
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    if (first === undefined) return { status: 200, headers: { "content-length": found.length }, body: found };
    const range = found.subarray(Number(first), Number(last) + 1);
    return {
      status: 206,
      headers: { "content-length": range.length, "content-range": `bytes ${first}-${last}/${found.length}` },
      body: range,
    };
  }

  const { port } = await startUpstream((request, response) => void serve(request, response));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body: Buffer;
    try {
      body = await buffer(request);
    } catch {
      return;
    }
    const { status, headers, body: text } = await answer(request, body);
    const { method = "", url = "", rawHeaders } = request;
    const answered = method === "HEAD" ? 0 : Buffer.byteLength(text);
    arrivals.push({ method, url, rawHeaders, headers: request.headers, body, status, answered });
    response.writeHead(status, headers).end(method === "HEAD" ? undefined : text);
  }

  return { port, arrivals, objects };
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | number>;
  readonly body: string | Buffer;
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function tag(name: string, text: string): string {
  return `<${name}>${text}</${name}>`;
}

function said(fields: string, root: string): Answer {
  return { status: 200, headers: { "content-type": "application/xml" }, body: tag(root, fields) };
}

function failed(status: number, code: string, more = ""): Answer {
  return { ...said(tag("Code", code) + tag("Message", code) + more, "Error"), status };
}

/** The body without its chunks; undefined where it is not what its hash, its length or its checksum says. */
function contentOf({ headers }: IncomingMessage, body: Buffer): Buffer | undefined {
  const said = headers["x-amz-content-sha256"];
  if (said === undefined || said === "UNSIGNED-PAYLOAD") return body;
  if (said !== "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    return createHash("sha256").update(body).digest("hex") === said ? body : undefined;
  }
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.subarray(at, end).toString(), 16);
    at = end + 2;
    if (size === 0) break;
    pieces.push(body.subarray(at, at + size));
    at += size + 2;
  }
  const content = Buffer.concat(pieces);
  const [, checksum] = /^x-amz-checksum-crc32:(\S+)\r\n\r\n$/.exec(body.subarray(at).toString()) ?? [];
  const expected = Buffer.alloc(4);
  expected.writeUInt32BE(crc32(content));
  const isWhole = content.length === Number(headers["x-amz-decoded-content-length"]);
  return isWhole && checksum === expected.toString("base64") ? content : undefined;
}
