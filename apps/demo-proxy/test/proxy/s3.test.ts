import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import S3rver from "@20minutes/s3rver";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { describe, expect, it, onTestFinished } from "vitest";
import type { HostPolicy } from "../../src/config/proxy-config.ts";
import { startProxy as startProcess, writeConfig } from "../support/running-proxy.ts";
import { isSigned } from "../support/signature-v4.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { send } from "./client.ts";
import { startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const Bucket = "bucket";
const SECRET = "S3RVER";

/** The SDK as it is, but for an attempt that fails: that is not made again. */
function clientOf(endpoint: string, options: S3ClientConfig = {}): S3Client {
  const client = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: "S3RVER", secretAccessKey: SECRET },
    maxAttempts: 1,
    ...options,
  });
  onTestFinished(() => client.destroy());
  return client;
}

interface Store {
  readonly client: S3Client;
  /** One that signs nothing, which S3rver accepts. */
  readonly unsigned: S3Client;
}

/** A store that verifies signatures, the proxy before it in a process of its own, and the SDK on that. */
async function startStore(host: HostPolicy | undefined): Promise<Store> {
  const server = new S3rver({
    address: "127.0.0.1",
    port: 0,
    silent: true,
    directory: tempFolder(),
    vhostBuckets: false,
    configureBuckets: [{ name: Bucket }],
  });
  const { port } = await server.run();
  onTestFinished(() => server.close());
  const folder = tempFolder();
  const policy = host === undefined ? "" : `, host: ${host}`;
  writeConfig(folder, `backends: [{ name: s3, url: "http://127.0.0.1:${port}"${policy} }]`);
  const { proxy } = await startProcess(folder);
  // S3rver knows no checksums that follow the body.
  const endpoint = `http://127.0.0.1:${proxy.port}`;
  const client = clientOf(endpoint, { requestChecksumCalculation: "WHEN_REQUIRED" });
  return { client, unsigned: clientOf(endpoint, { signer: { sign: async (request) => request } }) };
}

async function read(client: S3Client, Key: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return buffer(Body as Readable);
}

describe("the SDK of S3, on a server that verifies what is signed, through a proxy that preserves Host", () => {
  it("puts, gets, lists, copies and deletes", async () => {
    const { client, unsigned } = await startStore("preserve");
    const keys = ["plain.txt", "a folder/with spaces and +", "\u00fcmlaut/\u65e5\u672c.txt", "odd/!()*;:@=$,~.txt"];
    for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: `this is ${Key}` }));
    for (const Key of keys) expect((await read(client, Key)).toString()).toBe(`this is ${Key}`);
    // S3rver verifies lists by a path that the SDK does not ask for; what is signed of them is looked at below.
    const listed = await unsigned.send(new ListObjectsV2Command({ Bucket }));
    expect(listed.Contents?.map(({ Key }) => Key).sort()).toEqual([...keys].sort());
    const page = await unsigned.send(
      new ListObjectsV2Command({ Bucket, Prefix: "a folder/", Delimiter: "/", MaxKeys: 1 }),
    );
    expect(page.Contents?.map(({ Key }) => Key)).toEqual(["a folder/with spaces and +"]);
    await client.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/plain.txt` }));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: "copy" }));
    expect(head.ContentLength).toBe("this is plain.txt".length);
    await client.send(new DeleteObjectCommand({ Bucket, Key: "copy" }));
    await expect(read(client, "copy")).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  it("uploads a large object in one and in several parts", async () => {
    const { client } = await startStore("preserve");
    // So large that the SDK asks first whether it may send it (Expect: 100-continue), and more than the least size of a part.
    const Body = randomBytes(6 * 1_048_576);
    await client.send(new PutObjectCommand({ Bucket, Key: "whole", Body }));
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "in parts" }));
    const Parts = [];
    for (const [i, part] of [Body, Body.subarray(0, 1_000)].entries()) {
      const PartNumber = i + 1;
      const { ETag } = await client.send(
        new UploadPartCommand({ Bucket, Key: "in parts", UploadId, PartNumber, Body: part }),
      );
      Parts.push({ PartNumber, ETag });
    }
    const MultipartUpload = { Parts };
    await client.send(new CompleteMultipartUploadCommand({ Bucket, Key: "in parts", UploadId, MultipartUpload }));
    expect(digest(await read(client, "whole"))).toBe(digest(Body));
    expect(digest(await read(client, "in parts"))).toBe(digest(Buffer.concat([Body, Body.subarray(0, 1_000)])));
  });

  it("hands out links that others use", async () => {
    const { client } = await startStore("preserve");
    const Key = "a link/with spaces + \u00fc.txt";
    const put = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key }), { expiresIn: 60 });
    expect((await fetch(put, { method: "PUT", body: "by a link" })).status).toBe(200);
    const get = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key }), { expiresIn: 60 });
    const response = await fetch(get);
    expect([response.status, await response.text()]).toEqual([200, "by a link"]);
    const forged = await fetch(get.replace(/X-Amz-Signature=./, "X-Amz-Signature=!"));
    expect(forged.status).toBe(403);
  });

  it.each([["upstream" as const], [undefined]])("fails where Host is the upstream's: host: %s", async (host) => {
    const { client } = await startStore(host);
    const put = client.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }));
    await expect(put).rejects.toMatchObject({ name: "SignatureDoesNotMatch" });
    const get = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "x" }), { expiresIn: 60 });
    expect((await fetch(get)).status).toBe(403);
  });
});

describe("what is signed arrives as it was signed", () => {
  interface Arrival {
    readonly signed: boolean;
    readonly body: Buffer;
    readonly headers: NodeJS.Dict<string | string[]>;
  }

  interface Verifier {
    readonly origin: string;
    readonly port: number;
    readonly arrivals: readonly Arrival[];
  }

  /** A server that verifies what S3 verifies, and the proxy before it. */
  async function startVerifier(): Promise<Verifier> {
    const arrivals: Arrival[] = [];
    const upstream = await startUpstream(async (request, response) => {
      const body = await buffer(request);
      const signed = isSigned(request, SECRET);
      arrivals.push({ signed, body, headers: request.headers });
      response.writeHead(signed ? 200 : 403, { "content-type": "application/xml" }).end();
    });
    const { origin, port } = await startProxy({ upstreams: { s3: upstream.port }, host: "preserve" });
    return { origin, port, arrivals };
  }

  it.each([
    "plain",
    "/begins with a slash",
    "ends with one/",
    "two//slashes///and more",
    "./a/./dot",
    "a+b c%20d%2Fe?f#g",
    "\u00fc\u65e5\u{1f600}",
    "!'()*;:@&=$,~`^|\\\"<>[]{}",
  ])("with the key %j", async (Key) => {
    const { origin, port, arrivals } = await startVerifier();
    const client = clientOf(origin);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: "hello", Metadata: { note: "two  spaces" } }));
    await client.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=0-1" }));
    const link = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key }), { expiresIn: 60 });
    // Not by fetch, which resolves the dots in a path.
    expect((await send(port, link.slice(origin.length))).status).toBe(200);
    await client.send(new ListObjectsV2Command({ Bucket, Prefix: Key, Delimiter: "/" }));
    expect(arrivals.map(({ signed }) => signed)).toEqual([true, true, true, true]);
  });

  it("with a stream, whose chunks and checksum pass untouched", async () => {
    const { origin, arrivals } = await startVerifier();
    const Body = Readable.from([Buffer.alloc(70_000, "a"), Buffer.alloc(3, "b")]);
    await clientOf(origin).send(new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: 70_003 }));
    const [arrival] = arrivals;
    expect(arrival?.signed).toBe(true);
    expect(arrival?.headers).toMatchObject({
      "content-encoding": "aws-chunked",
      "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      "x-amz-decoded-content-length": "70003",
    });
    expect(arrival?.body.toString()).toMatch(/^[0-9a-f]+\r\na+.*\r\n0\r\nx-amz-checksum-crc32:[\w+/=]+\r\n\r\n$/s);
  });

  it("with the Host that was asked for, and not where it is the upstream's", async () => {
    const { origin, arrivals } = await startVerifier();
    const client = clientOf(origin.replace("127.0.0.1", "localhost"));
    await client.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }));
    expect(arrivals[0]?.headers).toMatchObject({
      host: new URL(origin).host.replace("127.0.0.1", "localhost"),
      "x-forwarded-host": new URL(origin).host.replace("127.0.0.1", "localhost"),
    });
    const direct = await startUpstream(async (request, response) => {
      await text(request);
      response.writeHead(isSigned(request, SECRET) ? 200 : 403).end();
    });
    const { origin: changed } = await startProxy({ upstreams: { s3: direct.port } });
    const refused = clientOf(changed).send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }));
    await expect(refused).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  });
});

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
