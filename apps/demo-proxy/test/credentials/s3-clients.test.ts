import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import S3rver from "@20minutes/s3rver";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { type Clock, systemClock } from "@usage/counter-core";
import { describe, expect, it, onTestFinished } from "vitest";
import type { AccessEntry } from "../../src/proxy/access-entry.ts";
import { send } from "../proxy/client.ts";
import { startUpstream } from "../proxy/node-upstream.ts";
import { startConfigured } from "../support/configured-app.ts";
import { type S3Server, startS3Server } from "../support/s3-server.ts";
import { tempFolder } from "../support/temp-folder.ts";

const Bucket = "photos";
const KEY = "clients-own-key-0123";
const ACCOUNT = { id: "PROVIDERKEYID", secret: "provider/secret+0123456789" };

function clientOf(endpoint: string, options: S3ClientConfig = {}): S3Client {
  const client = new S3Client({
    endpoint,
    region: "eu-central-1",
    forcePathStyle: true,
    credentials: { accessKeyId: "app", secretAccessKey: KEY },
    maxAttempts: 1,
    ...options,
  });
  onTestFinished(() => client.destroy());
  return client;
}

interface Fixture {
  readonly server: S3Server;
  readonly origin: string;
  readonly client: S3Client;
  readonly logged: readonly AccessEntry[];
  usage(): Readonly<Record<string, number>>;
}

/** A store that knows one account, and a proxy that has it and knows one client. */
async function start(
  options: { bucket?: string; clock?: Clock; path?: string; secret?: string } = {},
): Promise<Fixture> {
  const { bucket, clock, path = "", secret = ACCOUNT.secret } = options;
  const logged: AccessEntry[] = [];
  const server = await startS3Server(ACCOUNT);
  const own = bucket === undefined ? "" : `, bucket: ${bucket}`;
  const { app, origin } = await startConfigured(
    `clients: [{ name: app, key: ${KEY} }, { name: other, key: another-key-0123456789 }]
backends:
- name: s3
  url: http://127.0.0.1:${server.port}${path}
  auth: { kind: s3, region: auto, accessKeyId: ${ACCOUNT.id}, secretAccessKey: ${secret}${own} }`,
    { ...(clock && { clock }), accessLog: (entry) => void logged.push(entry) },
  );
  return { server, origin, client: clientOf(origin), logged, usage: () => app.tracker.counter.totalAll("s3") };
}

async function read(client: S3Client, Key: string, Range?: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, ...(Range && { Range }) }));
  return buffer(Body as Readable);
}

/** Nothing by which the client is known, and all that the server got was in order. */
function expectOnlyProvider({ arrivals }: S3Server): void {
  expect(arrivals.length).toBeGreaterThan(0);
  for (const { method, url, rawHeaders, status } of arrivals) {
    expect([method, url, status]).toEqual([method, url, expect.toSatisfy((code) => code < 300 || code === 404)]);
    const text = `${url}\n${rawHeaders.join("\n")}`;
    expect(text).not.toMatch(/(?:Credential=|%2F)app\/|eu-central-1/);
    expect(text).not.toContain(KEY);
    expect(text).not.toContain(ACCOUNT.secret);
    expect(text).toContain(`${ACCOUNT.id}`);
  }
}

describe("the SDK of S3 with a key of the proxy's, on a store that knows the proxy's account only", () => {
  it.each([
    "plain.txt",
    "a folder/with spaces and +",
    "/begins with a slash",
    "two//slashes/",
    "a%20b?c#d",
    "\u00fcmlaut/\u65e5\u672c.txt",
    "odd/!()*'[]{}|^`\"<>;:@&=$,~.txt",
  ])("puts, gets, lists, copies and deletes %j", async (Key) => {
    const { client, server } = await start();
    await client.send(new PutObjectCommand({ Bucket, Key, Body: `this is ${Key}`, Metadata: { note: "two  spaces" } }));
    expect((await read(client, Key)).toString()).toBe(`this is ${Key}`);
    await client.send(new ListObjectsV2Command({ Bucket, Prefix: Key, Delimiter: "/" }));
    await client.send(
      new CopyObjectCommand({ Bucket, Key: "copy", CopySource: encodeURIComponent(`${Bucket}/${Key}`) }),
    );
    expect((await read(client, "copy")).toString()).toBe(`this is ${Key}`);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    expect(head.ContentLength).toBe(Buffer.byteLength(`this is ${Key}`));
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    expectOnlyProvider(server);
  });

  it("uploads a stream, whose chunks and checksum pass as they are, and is counted to the byte", async () => {
    const { client, server, usage } = await start();
    const Body = randomBytes(300_001);
    await client.send(
      new PutObjectCommand({ Bucket, Key: "x", Body: Readable.from([Body]), ContentLength: Body.length }),
    );
    expect(server.arrivals[0]?.headers).toMatchObject({
      "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": "300001",
    });
    expect((await read(client, "x")).equals(Body)).toBe(true);
    const { arrivals } = server;
    expect(usage()).toEqual({
      apiRequests: arrivals.length,
      ingressBytes: arrivals.reduce((sum, { body }) => sum + body.length, 0),
      egressBytes: arrivals.reduce((sum, { answered }) => sum + answered, 0),
    });
    expectOnlyProvider(server);
  });

  it("uploads in parts by lib-storage, and reads ranges of it", async () => {
    const { client, server } = await start();
    const Body = randomBytes(11 * 1_048_576 + 1);
    await new Upload({ client, params: { Bucket, Key: "large", Body: Readable.from([Body]) } }).done();
    expect(server.arrivals.filter(({ url }) => url.includes("partNumber"))).toHaveLength(3);
    expect(server.objects.get(`${Bucket}/large`)?.equals(Body)).toBe(true);
    const range = await read(client, "large", "bytes=1000-6000000");
    expect(range.equals(Body.subarray(1_000, 6_000_001))).toBe(true);
    expectOnlyProvider(server);
  });

  it("hands out links, which others use without a key", async () => {
    const { client, server, origin } = await start();
    const Key = "a link/with spaces + \u00fc.txt";
    const put = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key }), { expiresIn: 60 });
    expect(put).toContain("X-Amz-Credential=app");
    expect((await fetch(put, { method: "PUT", body: "by a link" })).status).toBe(200);
    const get = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key, ResponseContentType: "text/x" }), {
      expiresIn: 60,
    });
    const response = await fetch(get, { headers: { range: "bytes=3-8" } });
    expect([response.status, await response.text()]).toEqual([206, "a link"]);
    expect(server.arrivals[1]?.url).toContain("response-content-type=text%2Fx");
    expect(origin).toContain("127.0.0.1");
    expectOnlyProvider(server);
  });

  it("finds the backend's own bucket under whatever name it gives it", async () => {
    const { client, server } = await start({ bucket: "the-backends" });
    await client.send(new PutObjectCommand({ Bucket, Key: "a b", Body: "x" }));
    await client.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/a%20b` }));
    await client.send(new ListObjectsV2Command({ Bucket }));
    expect([...server.objects.keys()]).toEqual(["the-backends/a b", "the-backends/copy"]);
    expectOnlyProvider(server);
  });

  it("has its requests signed for an address with a path of its own", async () => {
    const { client, server } = await start({ path: "/storage/v1" });
    await client.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }));
    expect([...server.objects.keys()]).toEqual([`storage/v1/${Bucket}/x`]);
    expectOnlyProvider(server);
  });

  it("is not needed: whoever has a key of the proxy's may ask by plain HTTP", async () => {
    const { server, origin } = await start();
    const headers = { authorization: `Bearer ${KEY}` };
    expect((await fetch(`${origin}/${Bucket}/x`, { method: "PUT", body: "plain", headers })).status).toBe(200);
    const basic = { authorization: `Basic ${Buffer.from(`app:${KEY}`).toString("base64")}` };
    expect(await (await fetch(`${origin}/${Bucket}/x`, { headers: basic })).text()).toBe("plain");
    expectOnlyProvider(server);
  });
});

describe("S3rver, which verifies signatures by itself", () => {
  it("takes what the proxy has signed", async () => {
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
    const account = (secret: string) => `clients: [{ name: app, key: ${KEY} }]
backends:
- { name: s3, url: "http://127.0.0.1:${port}", auth: { kind: s3, region: us-east-1, accessKeyId: S3RVER, secretAccessKey: "${secret}" } }`;
    const { origin } = await startConfigured(account("S3RVER"));
    const client = clientOf(origin, { requestChecksumCalculation: "WHEN_REQUIRED" });
    const Body = randomBytes(6 * 1_048_576);
    const params = { Bucket, Key: "a folder/\u00fc + ().bin", Body: Readable.from([Body]) };
    await new Upload({ client, params }).done();
    expect((await read(client, params.Key)).equals(Body)).toBe(true);
    const link = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: params.Key }), { expiresIn: 60 });
    expect(Buffer.from(await (await fetch(link)).arrayBuffer()).equals(Body)).toBe(true);
    // It does verify: with another secret it takes nothing.
    const { origin: wrong } = await startConfigured(account("another-secret"));
    expect((await fetch(`${wrong}/${Bucket}/x`, { headers: { "x-api-key": KEY } })).status).toBe(502);
  });
});

describe("a proxy in front", () => {
  it("may have another Host, which it tells, where it is trusted", async () => {
    const link = async (trusted: string, headers: Record<string, string>) => {
      const server = await startS3Server(ACCOUNT);
      const { proxy } = await startConfigured(`trustedProxies: [${trusted}]
clients: [{ name: app, key: ${KEY} }]
backends:
- name: s3
  url: http://127.0.0.1:${server.port}
  auth: { kind: s3, region: auto, accessKeyId: ${ACCOUNT.id}, secretAccessKey: ${ACCOUNT.secret} }`);
      const outside = clientOf("https://s3.example.com");
      const url = new URL(await getSignedUrl(outside, new GetObjectCommand({ Bucket, Key: "x" }), { expiresIn: 60 }));
      return (await send(proxy.port, url.pathname + url.search, { headers })).status;
    };
    expect(await link("127.0.0.1", { "x-forwarded-host": "s3.example.com" })).toBe(404);
    expect(await link("10.0.0.1", { "x-forwarded-host": "s3.example.com" })).toBe(403);
    expect(await link("10.0.0.1", { host: "s3.example.com" })).toBe(404);
  });
});

describe("where the store does not know the account of the proxy", () => {
  it("the client is told so, and nothing of the account", async () => {
    const { client, server, logged, origin } = await start({ secret: "another/secret+0123456789" });
    const get = client.send(new GetObjectCommand({ Bucket, Key: "x" }));
    await expect(get).rejects.toMatchObject({ name: "InternalError", $metadata: { httpStatusCode: 502 } });
    const put = client.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }));
    await expect(put).rejects.toMatchObject({ $metadata: { httpStatusCode: 502 } });
    const plain = await fetch(`${origin}/${Bucket}/x`, { headers: { authorization: `Bearer ${KEY}` } });
    const text = await plain.text();
    expect([plain.status, text]).toEqual([
      502,
      expect.stringContaining("does not accept the credentials of this proxy"),
    ]);
    expect(text).not.toContain(ACCOUNT.id);
    expect(server.arrivals.map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(logged).toMatchObject([{ client: "app", status: 502, trouble: { code: "CREDENTIALS_REFUSED" } }, {}, {}]);
    expect(JSON.stringify(logged)).not.toMatch(/PROVIDERKEYID|another\/secret/);
  });
});

describe("where the store says that only after the head of its answer", () => {
  const XML = `<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>${ACCOUNT.id}</AWSAccessKeyId></Error>`;

  async function startRefusing(more = "") {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(403, { "content-type": "application/xml" }).flushHeaders();
      setTimeout(() => response.end(XML), 50);
    });
    return startConfigured(`clients: [{ name: app, key: ${KEY} }]
backends:
- name: s3
  url: http://127.0.0.1:${upstream.port}
  auth: { kind: s3, region: auto, accessKeyId: ${ACCOUNT.id}, secretAccessKey: ${ACCOUNT.secret} }
${more}`);
  }

  it("the client is told so all the same", async () => {
    const { origin } = await startRefusing();
    const response = await fetch(`${origin}/x/y`, { headers: { "x-api-key": KEY } });
    expect([response.status, await response.text()]).toEqual([502, expect.not.stringContaining(ACCOUNT.id)]);
  });

  it("another backend is asked, where there is one", async () => {
    const other = await startUpstream((_request, response) => response.end("of the other one"));
    const { origin, app } = await startRefusing(`- { name: other, url: "http://127.0.0.1:${other.port}" }`);
    const response = await fetch(`${origin}/x/y`, { headers: { "x-api-key": KEY } });
    expect([response.status, await response.text()]).toEqual([200, "of the other one"]);
    expect(app.tracker.counter.totalAll("s3")).toEqual({ apiRequests: 1, ingressBytes: 0, egressBytes: XML.length });
  });
});

describe("where the store redirects to another address of its own", () => {
  it("nobody is handed a link that the proxy has signed", async () => {
    const upstream = await startUpstream(({ url = "" }, response) => {
      response.writeHead(307, { location: `http://elsewhere.example.com${url}` }).end();
    });
    const { origin } = await startConfigured(`clients: [{ name: app, key: ${KEY} }]
backends:
- name: s3
  url: http://127.0.0.1:${upstream.port}
  auth: { kind: s3, region: auto, accessKeyId: ${ACCOUNT.id}, secretAccessKey: ${ACCOUNT.secret} }`);
    const link = await getSignedUrl(clientOf(origin), new GetObjectCommand({ Bucket, Key: "x" }), { expiresIn: 60 });
    const { headers } = await fetch(link, { redirect: "manual" });
    expect(upstream.requests[0]?.url).toContain(`X-Amz-Credential=${ACCOUNT.id}`);
    expect(headers.get("location")).toMatch(/^http:\/\/elsewhere\.example\.com\/photos\/x\?/);
    expect(headers.get("location")).not.toMatch(/X-Amz-(?:Credential|Signature)/);
  });
});

describe("a signature is refused in the words of S3, and nothing is asked of a backend", () => {
  const refused = (Code: string, status = 403) => ({ name: Code, $metadata: { httpStatusCode: status } });

  it("by another key", async () => {
    const { origin, server } = await start();
    const wrong = clientOf(origin, { credentials: { accessKeyId: "app", secretAccessKey: `${KEY}x` } });
    const get = wrong.send(new GetObjectCommand({ Bucket, Key: "x" }));
    await expect(get).rejects.toMatchObject(refused("SignatureDoesNotMatch"));
    const put = wrong.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }));
    await expect(put).rejects.toMatchObject(refused("SignatureDoesNotMatch"));
    expect(server.arrivals).toEqual([]);
  });

  it("of a client that there is not, of nobody, and of two versions before", async () => {
    const { origin, server } = await start();
    const stranger = clientOf(origin, { credentials: { accessKeyId: ACCOUNT.id, secretAccessKey: ACCOUNT.secret } });
    const get = new GetObjectCommand({ Bucket, Key: "x" });
    await expect(stranger.send(get)).rejects.toMatchObject(refused("InvalidAccessKeyId"));
    const nobody = clientOf(origin, { signer: { sign: async (request) => request } });
    await expect(nobody.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }))).rejects.toMatchObject(
      refused("AccessDenied"),
    );
    const old = await fetch(`${origin}/${Bucket}/x`, { headers: { authorization: `AWS app:${"a".repeat(27)}=` } });
    expect([old.status, await old.text()]).toEqual([400, expect.stringContaining("<Code>InvalidRequest</Code>")]);
    expect(server.arrivals).toEqual([]);
  });

  it.each([
    ["another object", (url: string) => url.replace("/x?", "/y?")],
    ["another version", (url: string) => `${url}&versionId=2`],
    ["a longer time", (url: string) => url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")],
    ["another client", (url: string) => url.replace("X-Amz-Credential=app", "X-Amz-Credential=other")],
    ["another signature", (url: string) => url.replace(/X-Amz-Signature=../, "X-Amz-Signature=zz")],
  ])("of a link that is used for %s", async (_, changed) => {
    const { client, server } = await start();
    const link = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "x" }), { expiresIn: 60 });
    expect((await fetch(link)).status).toBe(404);
    const response = await fetch(changed(link));
    expect([response.status, await response.text()]).toEqual([
      403,
      expect.stringContaining("<Error><Code>SignatureDoesNotMatch<"),
    ]);
    expect(response.headers.get("content-type")).toBe("application/xml");
    expect((await fetch(link, { method: "DELETE" })).status).toBe(403);
    expect(server.arrivals).toHaveLength(1);
  });

  it("of a link that has expired, and of one of another time", async () => {
    let offsetMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + offsetMs };
    const { client, server } = await start({ clock });
    const link = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "x" }), { expiresIn: 3_600 });
    offsetMs = 3_590_000;
    expect((await fetch(link)).status).toBe(404);
    offsetMs = 3_601_000;
    const expired = await fetch(link);
    expect([expired.status, await expired.text()]).toEqual([
      403,
      expect.stringMatching(/AccessDenied.*Request has expired/),
    ]);
    offsetMs = -16 * 60_000;
    const early = await fetch(link);
    expect([early.status, await early.text()]).toEqual([403, expect.stringContaining("Request is not valid yet")]);
    const forever = await fetch(link.replace("X-Amz-Expires=3600", "X-Amz-Expires=604801"));
    expect([forever.status, await forever.text()]).toEqual([
      400,
      expect.stringContaining("AuthorizationQueryParametersError"),
    ]);
    expect(server.arrivals).toHaveLength(1);
  });

  it("that is sent again later than 15 minutes after it was made, or before", async () => {
    let offsetMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + offsetMs };
    const { client, server, origin } = await start({ clock });
    const seen: Record<string, string>[] = [];
    client.middlewareStack.add(
      (next) => async (args) => {
        seen.push({ ...(args.request as { headers: Record<string, string> }).headers });
        return next(args);
      },
      { step: "finalizeRequest", priority: "low" },
    );
    await expect(read(client, "x")).rejects.toMatchObject({ name: "NoSuchKey" });
    const { host: _, ...headers } = seen[0] ?? {};
    const again = async () => {
      const { status, body } = await send(Number(new URL(origin).port), `/${Bucket}/x?x-id=GetObject`, { headers });
      return [status, /<Code>(\w+)/.exec(body.toString())?.[1]];
    };
    offsetMs = 14 * 60_000;
    expect(await again()).toEqual([404, "NoSuchKey"]);
    for (const minutes of [16, -16]) {
      offsetMs = minutes * 60_000;
      expect(await again()).toEqual([403, "RequestTimeTooSkewed"]);
    }
    expect(server.arrivals).toHaveLength(2);
  });

  it("that does not cover a header of S3", async () => {
    const { client, server } = await start();
    const link = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: "x" }), { expiresIn: 60 });
    const response = await fetch(link, { method: "PUT", body: "x", headers: { "x-amz-acl": "public-read" } });
    expect([response.status, await response.text()]).toEqual([403, expect.stringContaining("were not signed")]);
    expect(server.arrivals).toEqual([]);
  });

  it("a body that is not what was signed is refused by the store, whose word is passed on", async () => {
    const { client, server } = await start();
    client.middlewareStack.add(
      (next) => (args) => {
        (args.request as { body: unknown }).body = "y";
        return next(args);
      },
      { step: "finalizeRequest", priority: "low" },
    );
    const put = client.send(new PutObjectCommand({ Bucket, Key: "x", Body: "x" }));
    await expect(put).rejects.toMatchObject({ name: "XAmzContentSHA256Mismatch" });
    expect(server.objects.size).toBe(0);
  });
});
