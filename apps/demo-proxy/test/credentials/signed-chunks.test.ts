import { createHash, createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { send } from "../proxy/client.ts";
import { startUpstream } from "../proxy/node-upstream.ts";
import { startConfigured } from "../support/configured-app.ts";
import { startS3Server } from "../support/s3-server.ts";

const KEY = "clients-own-key-0123";
const ACCOUNT = { id: "PROVIDERKEYID", secret: "provider/secret+0123456789" };

interface Chunked {
  readonly headers: Record<string, string>;
  readonly frames: readonly Buffer[];
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const hash = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");

/** An upload of signed chunks, as the SDKs for Java and Go send them: the documentation's example in code. */
function upload(port: number, chunks: readonly Buffer[], checksum?: string): Chunked {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/eu-central-1/s3/aws4_request`;
  const key = scope.split("/").reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${KEY}`) as Buffer;
  const length = chunks.reduce((sum, { length }) => sum + length, 0);
  const signed: Record<string, string> = {
    "content-encoding": "aws-chunked",
    host: `127.0.0.1:${port}`,
    "x-amz-content-sha256": `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${checksum === undefined ? "" : "-TRAILER"}`,
    "x-amz-date": time,
    "x-amz-decoded-content-length": String(length),
    ...(checksum !== undefined && { "x-amz-trailer": "x-amz-checksum-crc32" }),
  };
  const names = Object.keys(signed).sort();
  const canonical = [
    "PUT",
    "/bucket/key",
    "",
    ...names.map((name) => `${name}:${signed[name]}`),
    "",
    names.join(";"),
    signed["x-amz-content-sha256"],
  ].join("\n");
  const seed = hmac(key, ["AWS4-HMAC-SHA256", time, scope, hash(canonical)].join("\n")).toString("hex");
  let previous = seed;
  const frames = [...chunks, Buffer.alloc(0)].map((chunk) => {
    const text = ["AWS4-HMAC-SHA256-PAYLOAD", time, scope, previous, hash(""), hash(chunk)].join("\n");
    previous = hmac(key, text).toString("hex");
    const head = Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`);
    return Buffer.concat([head, chunk, Buffer.from(chunk.length > 0 ? "\r\n" : "")]);
  });
  if (checksum === undefined) frames.push(Buffer.from("\r\n"));
  else {
    const field = `x-amz-checksum-crc32:${checksum}`;
    const text = ["AWS4-HMAC-SHA256-TRAILER", time, scope, previous, hash(`${field}\n`)].join("\n");
    frames.push(Buffer.from(`${field}\r\nx-amz-trailer-signature:${hmac(key, text).toString("hex")}\r\n\r\n`));
  }
  const authorization = `AWS4-HMAC-SHA256 Credential=app/${scope}, SignedHeaders=${names.join(";")}, Signature=${seed}`;
  return { headers: { ...signed, authorization }, frames };
}

async function start(counter = "", limits = "") {
  const server = await startS3Server(ACCOUNT);
  const { app, proxy } = await startConfigured(`clients: [{ name: app, key: ${KEY} }]
${counter}
backends:
- name: s3
  url: http://127.0.0.1:${server.port}
  auth: { kind: s3, region: auto, accessKeyId: ${ACCOUNT.id}, secretAccessKey: ${ACCOUNT.secret} }
  ${limits}`);
  const put = ({ headers, frames }: Chunked, body: Buffer | readonly Buffer[] = Buffer.concat(frames)) =>
    send(proxy.port, "/bucket/key", { method: "PUT", headers, body });
  return { server, port: proxy.port, put, ingress: () => app.tracker.counter.totalAll("s3").ingressBytes };
}

const CHUNKS = [randomBytes(65_536), randomBytes(65_536), randomBytes(1_024)];
const CONTENT = Buffer.concat(CHUNKS);

/** Eight bits of one piece changed. */
function forged(frames: readonly Buffer[], index: number, at: number): Buffer[] {
  return frames.map((frame, i) => {
    if (i !== index) return frame;
    const copy = Buffer.from(frame);
    copy[at] = (copy[at] ?? 0) ^ 0xff;
    return copy;
  });
}

describe("an upload of signed chunks", () => {
  it("is verified, and sent on without its signatures, in its own length", async () => {
    const { server, port, put, ingress } = await start();
    expect((await put(upload(port, CHUNKS))).status).toBe(200);
    expect(server.objects.get("bucket/key")?.equals(CONTENT)).toBe(true);
    const [arrival] = server.arrivals;
    expect(arrival?.headers).toMatchObject({
      "content-length": String(CONTENT.length),
      "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    });
    expect(arrival?.headers).not.toHaveProperty("content-encoding");
    expect(arrival?.headers).not.toHaveProperty("x-amz-decoded-content-length");
    expect(ingress()).toBe(CONTENT.length);
  });

  it("keeps the checksum that follows it, for the store to verify", async () => {
    const { server, port, put, ingress } = await start();
    const { crc32 } = await import("node:zlib");
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32(CONTENT));
    expect((await put(upload(port, CHUNKS, checksum.toString("base64")))).status).toBe(200);
    expect(server.objects.get("bucket/key")?.equals(CONTENT)).toBe(true);
    expect(server.arrivals[0]?.headers["x-amz-content-sha256"]).toBe("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    expect(ingress()).toBe(server.arrivals[0]?.body.length);
    // The store does verify it.
    expect((await put(upload(port, CHUNKS, "AAAAAA=="))).text).toContain("XAmzContentSHA256Mismatch");
  });

  it("of nothing is one", async () => {
    const { server, port, put } = await start();
    expect((await put(upload(port, []))).status).toBe(200);
    expect(server.objects.get("bucket/key")?.length).toBe(0);
  });

  it.each([
    ["in the first chunk", 0, 1_000],
    ["in the last chunk", 2, 500],
    ["in the signature of the last chunk", 3, 20],
  ])("that was changed %s is refused, and no store takes it for whole", async (_, index, at) => {
    const { server, port, put } = await start();
    const chunked = upload(port, CHUNKS);
    const reply = await put(chunked, forged(chunked.frames, index, at));
    expect([reply.status, reply.text]).toEqual([
      expect.toSatisfy((status) => status === 403 || status === 400),
      expect.stringMatching(/<Code>(SignatureDoesNotMatch|IncompleteBody)</),
    ]);
    expect(server.objects.size).toBe(0);
  });

  it.each([
    ["lacks a chunk", [0, 2, 3, 4]],
    ["has a chunk twice", [0, 1, 1, 2, 3, 4]],
    ["ends before its last chunk", [0, 1, 2]],
    ["ends within a chunk", [0, 1]],
  ])("that %s is refused", async (_, order) => {
    const { server, port, put } = await start();
    const chunked = upload(port, CHUNKS);
    const reply = await put(
      chunked,
      order.map((i) => chunked.frames[i] ?? Buffer.alloc(0)),
    );
    expect(reply.text).toMatch(/<Code>(SignatureDoesNotMatch|IncompleteBody)</);
    expect(server.objects.size).toBe(0);
  });

  it("whose checksum was changed on the way is refused by the proxy", async () => {
    const { server, port, put } = await start();
    const chunked = upload(port, CHUNKS, "AAAAAA==");
    const reply = await put(chunked, forged(chunked.frames, 4, "x-amz-checksum-crc32:".length));
    expect([reply.status, reply.text]).toEqual([403, expect.stringContaining("SignatureDoesNotMatch")]);
    expect(server.objects.size).toBe(0);
  });

  it("is read no faster than the store takes it, however large its chunks", { timeout: 60_000 }, async () => {
    let release: () => void = () => {};
    const read = new Promise<void>((resolve) => {
      release = resolve;
    });
    const received = createHash("sha256");
    const upstream = await startUpstream(async (came, response) => {
      await read;
      for await (const piece of came) received.update(piece);
      response.end();
    });
    const { proxy } = await startConfigured(`clients: [{ name: app, key: ${KEY} }]
backends:
- name: s3
  url: http://127.0.0.1:${upstream.port}
  auth: { kind: s3, region: auto, accessKeyId: ${ACCOUNT.id}, secretAccessKey: ${ACCOUNT.secret} }`);
    const content = randomBytes(96 * 1_048_576);
    const { headers, frames } = upload(proxy.port, [content]);
    const outgoing = request({ port: proxy.port, host: "127.0.0.1", path: "/bucket/key", method: "PUT", headers });
    const answered = once(outgoing, "response");
    const body = Buffer.concat(frames);
    let [at, lastMs] = [0, performance.now()];
    const write = (): void => {
      lastMs = performance.now();
      while (at < body.length && outgoing.write(body.subarray(at, at + 65_536))) at += 65_536;
      if (at < body.length) {
        at += 65_536;
        outgoing.once("drain", write);
      } else outgoing.end();
    };
    write();
    await expect.poll(() => performance.now() - lastMs, { timeout: 20_000 }).toBeGreaterThan(500);
    // What the kernels of three connections hold, and some pieces in the proxy.
    expect(at).toBeLessThan(48 * 1_048_576);
    release();
    const [response] = await answered;
    expect(response.statusCode).toBe(200);
    response.resume();
    expect(received.digest("hex")).toBe(hash(content));
  });

  it("is cut where an exact limit leaves it no room, and the store does not take it for whole", async () => {
    const { server, port, put, ingress } = await start(
      "counter: { kind: local, enforcement: exact }",
      `limits: { ingressBytes: ${CONTENT.length} }`,
    );
    expect((await put(upload(port, CHUNKS.slice(0, 2)))).status).toBe(200);
    const chunked = upload(port, CHUNKS);
    const reply = await put(chunked, chunked.frames);
    expect([reply.status, reply.text]).toEqual([429, expect.stringContaining("<Code>QuotaExceeded</Code>")]);
    expect(server.objects.get("bucket/key")?.length).toBe(131_072);
    expect(ingress()).toBeLessThanOrEqual(CONTENT.length);
  });

  it("without its length is refused", async () => {
    const { server, port } = await start();
    const { headers } = upload(port, [], undefined);
    const { "x-amz-decoded-content-length": _, ...others } = headers;
    const authorization = { authorization: `Bearer ${KEY}` };
    const ask = { method: "PUT", headers: { ...others, ...authorization }, body: "0\r\n\r\n" };
    const reply = await send(port, "/bucket/key", ask);
    expect([reply.status, reply.text]).toEqual([400, expect.stringContaining("<Code>InvalidRequest</Code>")]);
    expect(server.arrivals).toEqual([]);
  });

  it("comes in whatever pieces", async () => {
    const { server, port } = await start();
    const chunked = upload(port, [Buffer.from("a".repeat(40)), Buffer.from("b".repeat(3))]);
    const whole = Buffer.concat(chunked.frames);
    const pieces = Array.from({ length: Math.ceil(whole.length / 7) }, (_, i) => whole.subarray(i * 7, i * 7 + 7));
    const reply = await send(port, "/bucket/key", { method: "PUT", headers: chunked.headers, body: pieces });
    expect(reply.status).toBe(200);
    expect(server.objects.get("bucket/key")?.toString()).toBe(`${"a".repeat(40)}bbb`);
  });
});
