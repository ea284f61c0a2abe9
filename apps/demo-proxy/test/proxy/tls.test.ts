import { createSecureServer } from "node:http2";
import { createServer } from "node:https";
import type { TLSSocket } from "node:tls";
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

test("the certificate is asked for, and checked, by the upstream's name, whatever Host is preserved", async () => {
  const seen: unknown[] = [];
  const server = createServer({ key: KEY, cert: CERT }, (request, response) => {
    const socket = request.socket as TLSSocket & { readonly servername?: string | false };
    seen.push([socket.servername, request.headers.host, socket.remotePort]);
    response.end();
  });
  const port = await listening(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const options = { ca: CERT, host: "preserve" } as const;
  const proxy = await startProxy({ upstreams: { a: `https://localhost:${port}` }, ...options });
  for (const host of ["one.example", "two.example:81", "[::1]:81"]) {
    expect((await send(proxy.port, "/", { headers: { host } })).status).toBe(200);
  }
  const [[, , connection] = []] = seen as unknown[][];
  expect(seen).toEqual([
    ["localhost", "one.example", connection],
    ["localhost", "two.example:81", connection],
    ["localhost", "[::1]:81", connection],
  ]);
  // The certificate is for localhost, which is what the client asks for, but not whom the proxy asks.
  const misnamed = await startProxy({ upstreams: { a: `https://127.0.0.1:${port}` }, ...options });
  expect((await send(misnamed.port, "/", { headers: { host: "localhost" } })).status).toBe(502);
  expect(seen).toHaveLength(3);
});
