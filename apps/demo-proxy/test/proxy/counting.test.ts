import { randomBytes } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type NginxServer, startNginx } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dial, send } from "./client.ts";
import { respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { type RunningProxy, startProxy } from "./proxy-fixture.ts";

const CONFIG = `
  client_max_body_size 8m;
  location / { dav_methods PUT DELETE; }
  location = /error { return 503 "out of order"; }
  location = /empty { return 200; }
  location = /nothing { return 204; }
  location = /moved { return 301 /elsewhere; }
`;

interface Logged {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bodyBytes: number;
}

describe("what nginx logs is what is counted", () => {
  let nginx: NginxServer;
  let logged = 0;

  beforeAll(async () => {
    nginx = await startNginx({ config: CONFIG });
    await writeFile(join(nginx.folder, "small"), randomBytes(1_000));
    await writeFile(join(nginx.folder, "large"), randomBytes(3_000_001));
    await writeFile(join(nginx.folder, "void"), "");
  });
  afterAll(() => nginx.stop());

  /** The lines that came since the last call, once there are as many as the proxy counted requests. */
  async function log(requests: number): Promise<readonly Logged[]> {
    const lines = async (): Promise<string[]> => (await nginx.accessLog()).split("\n").filter((line) => line !== "");
    await expect.poll(async () => (await lines()).length - logged, { timeout: 10_000 }).toBe(requests);
    const fresh = (await lines()).slice(logged);
    logged += fresh.length;
    return fresh.map((line) => {
      const [method = "", path = "", status, bodyBytes] = line.split(" ");
      return { method, path, status: Number(status), bodyBytes: Number(bodyBytes) };
    });
  }

  async function expectEqual(proxy: RunningProxy, ingressBytes: number): Promise<readonly Logged[]> {
    await proxy.settled();
    const usage = proxy.usage("nginx");
    const lines = await log(usage.apiRequests);
    expect(usage.egressBytes).toBe(lines.reduce((sum, line) => sum + line.bodyBytes, 0));
    expect(usage.ingressBytes).toBe(ingressBytes);
    return lines;
  }

  test("over GET and HEAD of files, ranges, conditions, redirects, refusals, errors and empty bodies", async () => {
    const proxy = await startProxy({ upstreams: { nginx: nginx.port } });
    const { headers } = await send(proxy.port, "/small");
    const known = { "if-none-match": String(headers.etag) };
    const replies = [
      await send(proxy.port, "/large"),
      await send(proxy.port, "/large", { method: "HEAD" }),
      await send(proxy.port, "/nowhere", { method: "HEAD" }),
      await send(proxy.port, "/large", { headers: { range: "bytes=5-1004" } }),
      await send(proxy.port, "/large", { headers: { range: "bytes=0-1,5-6,100000-200000" } }),
      await send(proxy.port, "/large", { headers: { range: "bytes=99999999-" } }),
      await send(proxy.port, "/small", { headers: known }),
      await send(proxy.port, "/small", { method: "HEAD", headers: known }),
      await send(proxy.port, "/nowhere"),
      await send(proxy.port, "/moved"),
      await send(proxy.port, "/error"),
      await send(proxy.port, "/empty"),
      await send(proxy.port, "/nothing"),
      await send(proxy.port, "/void"),
      await send(proxy.port, "/small", { method: "POST", body: "refused by a file" }),
      await send(proxy.port, "/small", { method: "OPTIONS" }),
      await send(proxy.port, "/small", { method: "PROPFIND" }),
    ];
    const statuses = [200, 200, 404, 206, 206, 416, 304, 304, 404, 301, 503, 200, 204, 200, 405, 405, 405];
    expect(replies.map((reply) => reply.status)).toEqual(statuses);
    expect(replies[0]?.body.equals(await readFile(join(nginx.folder, "large")))).toBe(true);
    expect(replies[1]?.headers["content-length"]).toBe("3000001");
    await expectEqual(proxy, "refused by a file".length);
  });

  test("over uploads of declared and unknown length, whose files have the counted sizes", async () => {
    const proxy = await startProxy({ upstreams: { nginx: nginx.port } });
    const parts = [randomBytes(70_000), randomBytes(1), randomBytes(300_000)];
    const replies = [
      await send(proxy.port, "/put-declared", { method: "PUT", body: randomBytes(2_000_003) }),
      await send(proxy.port, "/put-chunked", { method: "PUT", body: parts }),
      await send(proxy.port, "/put-empty", { method: "PUT", headers: { "content-length": 0 } }),
      await send(proxy.port, "/put-empty", { method: "PUT", body: [] }),
      await send(proxy.port, "/put-empty", { method: "DELETE" }),
    ];
    expect(replies.map((reply) => reply.status)).toEqual([201, 201, 201, 204, 204]);
    const sizes = await Promise.all(
      ["put-declared", "put-chunked"].map(async (name) => (await stat(join(nginx.folder, name))).size),
    );
    expect(sizes).toEqual([2_000_003, 370_001]);
    expect((await readFile(join(nginx.folder, "put-chunked"))).equals(Buffer.concat(parts))).toBe(true);
    await expectEqual(proxy, 2_000_003 + 370_001);
  });

  test("over kept-alive, pipelined and expecting requests on one connection", async () => {
    const proxy = await startProxy({ upstreams: { nginx: nginx.port } });
    const get = "GET /small HTTP/1.1\r\nHost: x\r\n\r\n";
    const client = await dial(proxy.port, get);
    await client.until("HTTP/1.1 200");
    client.socket.write(get.repeat(20));
    await client.until("HTTP/1.1 200", 21);
    client.socket.write("PUT /expected HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    await client.until("100 Continue");
    client.socket.write(`hello${get.replace("small", "void")}`);
    await client.until("HTTP/1.1 200", 22);
    client.socket.destroy();
    const lines = await expectEqual(proxy, 5);
    expect(lines).toHaveLength(23);
  });

  test("over many requests side by side", async () => {
    const proxy = await startProxy({ upstreams: { nginx: nginx.port } });
    const asks = Array.from({ length: 120 }, (_, at) => {
      if (at % 4 === 0) return send(proxy.port, `/many-${at}`, { method: "PUT", body: Buffer.alloc(at * 100) });
      if (at % 4 === 1) return send(proxy.port, "/large", { headers: { range: `bytes=0-${at * 1_000}` } });
      return send(proxy.port, at % 4 === 2 ? "/small" : "/large", { method: at % 8 === 7 ? "HEAD" : "GET" });
    });
    const replies = await Promise.all(asks);
    expect(replies.filter((reply) => reply.status >= 400)).toEqual([]);
    const ingress = asks.reduce((sum, _, at) => sum + (at % 4 === 0 ? at * 100 : 0), 0);
    await expectEqual(proxy, ingress);
  });

  test("over an upload that nginx refuses before its end", async () => {
    const proxy = await startProxy({ upstreams: { nginx: nginx.port } });
    const reply = await send(proxy.port, "/too-large", { method: "PUT", body: Buffer.alloc(8_388_609) });
    expect(reply.status).toBe(413);
    await proxy.settled();
    const usage = proxy.usage("nginx");
    expect(await log(1)).toMatchObject([{ status: 413, bodyBytes: usage.egressBytes }]);
    expect(usage.apiRequests).toBe(1);
    expect(usage.ingressBytes).toBeLessThanOrEqual(8_388_609);
  });
});

describe("bodies without their framing", () => {
  test("a chunked response counts its content only", async () => {
    const upstream = await startUpstream((_request, response) => {
      for (const part of ["one", "three", "seventeen characters"]) response.write(part);
      response.end();
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const reply = await send(proxy.port, "/");
    expect(reply.text).toBe("onethreeseventeen characters");
    expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: reply.text.length, ingressBytes: 0 });
  });

  test("a response that ends with its connection counts in full", async () => {
    const upstream = await startRawUpstream((socket) => socket.end(`HTTP/1.0 200 OK\r\n\r\n${"x".repeat(5_000)}`));
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    expect((await send(proxy.port, "/")).body).toHaveLength(5_000);
    expect(proxy.usage("a").egressBytes).toBe(5_000);
  });
});

describe("hang-ups", () => {
  test("a client that goes away half-way is charged what came from the upstream, which is told to stop", async () => {
    let stopped = false;
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { "content-length": 1_000_000 });
      response.write(Buffer.alloc(40_000));
      response.on("close", () => {
        stopped = true;
      });
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await expect.poll(() => client.text().split("\r\n\r\n")[1]?.length).toBe(40_000);
    expect(proxy.held("a").egressBytes).toBe(960_000);
    client.socket.destroy();
    await expect.poll(() => stopped).toBe(true);
    await proxy.settled();
    expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 40_000, ingressBytes: 0 });
  });

  test("an upload that breaks off is charged what the upstream got", async () => {
    let received = 0;
    let stopped = false;
    const upstream = await startUpstream((request) => {
      request.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      request.on("close", () => {
        stopped = true;
      });
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    client.socket.write(Buffer.alloc(50_000));
    await expect.poll(() => received).toBe(50_000);
    expect(proxy.held("a").ingressBytes).toBe(950_000);
    client.socket.destroy();
    await expect.poll(() => stopped).toBe(true);
    await proxy.settled();
    expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 0, ingressBytes: 50_000 });
  });

  test("a client that goes away before a byte of its body came has sent the upstream nothing", async () => {
    const upstream = await startRawUpstream(() => {});
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
    await expect.poll(() => upstream.connections.length).toBe(1);
    client.socket.destroy();
    await proxy.settled();
    expect(upstream.received()).toBe("");
    expect(proxy.usage("a")).toEqual({ apiRequests: 0, egressBytes: 0, ingressBytes: 0 });
  });

  test("a response that the upstream breaks off is counted as far as it came, and broken off for the client, too", async () => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { "content-length": 1_000 });
      response.write(Buffer.alloc(600), () => response.destroy());
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    await expect(send(proxy.port, "/")).rejects.toThrow(/aborted|hang up/);
    await proxy.settled();
    expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 600, ingressBytes: 0 });
    expect(upstream.requests).toHaveLength(1);
  });

  test("a response of unknown length that breaks off is not passed on as a whole one", async () => {
    const upstream = await startUpstream((_request, response) => {
      response.write(Buffer.alloc(600), () => response.destroy());
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    await expect(send(proxy.port, "/")).rejects.toThrow(/aborted|hang up/);
    expect(proxy.usage("a").egressBytes).toBe(600);
  });

  test("an answer before the end of the upload reaches a client that still sends", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 403, 10));
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n");
    client.socket.write(Buffer.alloc(1_000));
    await client.until("403 Forbidden");
    client.socket.write(Buffer.alloc(399_000));
    client.socket.write("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.until("403 Forbidden", 2);
    expect(upstream.requests.map((request) => request.url)).toEqual(["/", "/next"]);
    client.socket.destroy();
  });
});
