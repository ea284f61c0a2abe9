import { createSecureServer } from "node:http2";
import { expect, onTestFinished, test } from "vitest";
import { send } from "./client.ts";
import { CERT, KEY } from "./localhost-certificate.ts";
import { listening } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

async function startTlsUpstream(): Promise<{ readonly port: number; readonly requests: string[] }> {
  const requests: string[] = [];
  // It prefers HTTP/2, which would put all exchanges on one connection.
  const server = createSecureServer({ key: KEY, cert: CERT, allowHTTP1: true }, (request, response) => {
    let received = 0;
    request.on("data", (part: Buffer) => {
      received += part.length;
    });
    request.on("end", () => {
      requests.push(`${request.method} ${request.httpVersion}`);
      response.end(`got ${received}`);
    });
  });
  const port = await listening(server);
  onTestFinished(() => {
    server.close();
  });
  return { port, requests };
}

test("an https upstream is spoken to over TLS, side by side, and counted without it", async () => {
  const upstream = await startTlsUpstream();
  const proxy = await startProxy({ upstreams: { a: `https://localhost:${upstream.port}/` }, ca: CERT });
  const body = Buffer.alloc(100_000);
  const replies = await Promise.all([1, 2, 3].map(() => send(proxy.port, "/", { method: "PUT", body })));
  expect(replies.map((reply) => reply.text)).toEqual(Array(3).fill("got 100000"));
  expect(proxy.usage("a")).toEqual({ apiRequests: 3, egressBytes: 30, ingressBytes: 300_000 });
  expect(upstream.requests).toEqual(Array(3).fill("PUT 1.1"));
});

test("a certificate that nobody vouches for, or for another name, lets nothing through", async () => {
  const upstream = await startTlsUpstream();
  const unknown = await startProxy({ upstreams: { a: `https://localhost:${upstream.port}` } });
  expect((await send(unknown.port, "/")).status).toBe(502);
  const misnamed = await startProxy({ upstreams: { a: `https://127.0.0.1:${upstream.port}` }, ca: CERT });
  expect((await send(misnamed.port, "/", { method: "PUT", body: "secret" })).status).toBe(502);
  expect(upstream.requests).toEqual([]);
  expect(unknown.usage("a").apiRequests + misnamed.usage("a").apiRequests).toBe(0);
});
