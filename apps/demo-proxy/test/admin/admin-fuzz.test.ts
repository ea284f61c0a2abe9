import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Address } from "../../src/config/address.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";

const REQUESTS = 20_000;
const CONNECTIONS = 16;
const TOKEN = "t0ken";

const junk = fc.string({ unit: "binary-ascii", maxLength: 12 }).map((text) => text.replaceAll(/[\r\n\0 ]/g, "~"));
const path = fc.oneof(
  fc.constantFrom(
    "/",
    "/api/usage",
    "/api/history",
    "/api/events",
    "/api/flush",
    "/api/grants",
    "/api/backends/oci/grants",
    "/api/backends/oci/drain",
    "/metrics",
  ),
  fc.constantFrom(
    "/api/backends/b2/resume",
    "/healthz",
    "/readyz",
    "/dashboard/app.js",
    "/dashboard/..%2fapp.js",
    "/api/backends/%6fci/drain",
  ),
  fc.constantFrom(
    "/api//flush",
    "/API/flush",
    "/api/flush/",
    "//api/flush",
    "/api/%66lush",
    "/api/backends//drain",
    "*",
  ),
  fc.constantFrom("http://x/api/flush", "/api/history?from=x", "/api/history?to=2026-01&to=2026-02", "/%", "/%ff"),
  junk.map((text) => `/${text}`),
  junk.map((text) => `/api/backends/${text}/drain`),
);
const method = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("GET", "POST", "POST", "HEAD") },
  { weight: 1, arbitrary: fc.constantFrom("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "post") },
);
/** None of these together is the configured token from no other origin. */
const caller = fc.oneof(
  fc.constantFrom([], ["Authorization: Bearer"], ["Authorization: Bearer T0ken"], [`Authorization: Basic ${TOKEN}`]),
  fc.constantFrom([`Authorization: Bearer ${TOKEN}x`], [`Authorization: ${TOKEN}`], [`Cookie: token=${TOKEN}`]),
  fc
    .constantFrom("Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site")
    .map((origin) => [`Authorization: Bearer ${TOKEN}`, origin]),
);
const host = fc.constantFrom("127.0.0.1", "localhost:8081", "evil.example", "[::1]", "", "127.0.0.1.evil.example");
const grant = JSON.stringify({ id: "1", amounts: { apiRequests: 1 }, reason: "r" });
const body = fc.oneof(fc.constant(""), fc.constant(grant), junk, fc.constant("x".repeat(5_000)));

const request = fc
  .record({ method, path, caller, host, body, header: fc.option(junk) })
  .map(({ method, path, caller, host, body, header }) => {
    const headers = [`Host: ${host}`, ...caller, ...(header === null ? [] : [`X-Junk: ${header}`])];
    const length = body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
    return `${[`${method} ${path} HTTP/1.1`, ...headers, ...length].join("\r\n")}\r\n\r\n${body}`;
  });

it(`answers ${REQUESTS} odd requests without failing, and lets none of them change anything`, {
  timeout: 600_000,
}, async () => {
  const upstream = await startUpstream();
  // One to drain, and one to resume.
  const config = testConfig(["oci", "b2"].map((name) => ({ name, url: upstream.url, limits: {} })));
  const { app, admin } = await startApp({ ...config, admin: { ...config.admin, token: TOKEN } });
  const headers = { authorization: `Bearer ${TOKEN}` };
  await call(admin, "/api/backends/b2/drain", { method: "POST", headers });
  const statuses = new Map<string, number>();
  const requests = fc.sample(request, { numRuns: 5_000 });
  let next = 0;
  const work = async (): Promise<void> => {
    const line = new Line(admin);
    while (next < REQUESTS) {
      const status = await line.exchange(requests[next++ % requests.length] as string);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    line.end();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  expect([...statuses.keys()].filter((status) => !/^[234]\d\d$/.test(status))).toEqual([]);
  // All kinds of answers were met.
  expect([...statuses.keys()]).toEqual(expect.arrayContaining(["200", "400", "401", "403", "404", "405"]));
  expect(app.router.upstreams.map(({ draining }) => draining)).toEqual([false, true]);
  expect(app.flusher.status()).toEqual({ failures: 0 });
  expect((await call(admin, "/api/grants", { headers })).json).toMatchObject({ grants: [] });
  expect((await call(admin, "/api/usage", { headers })).status).toBe(200);
});

/** One request after the other, on one connection for as long as the server keeps it. */
class Line {
  readonly #address: Address;
  #socket: Socket | undefined;

  constructor(address: Address) {
    this.#address = address;
  }

  /** The status of the answer. */
  exchange(text: string): Promise<string> {
    this.#socket ??= connect(this.#address.port, this.#address.host).on("error", () => {});
    const socket = this.#socket;
    return new Promise((resolve) => {
      let answer = "";
      const read = (chunk: Buffer): void => {
        answer += chunk.toString("latin1");
        const [head, body] = answer.split("\r\n\r\n", 2);
        if (body === undefined) return;
        const length = /^content-length: (\d+)$/im.exec(head ?? "")?.[1];
        // Of a stream, the head is enough.
        if (length === undefined || /^connection: close$/im.test(head ?? "")) socket.destroy();
        else if (text.startsWith("HEAD ") || body.length === Number(length)) over();
      };
      const over = (): void => {
        socket.off("data", read).off("close", over);
        if (socket.destroyed) this.#socket = undefined;
        resolve(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? `no answer to ${JSON.stringify(text.slice(0, 200))}`);
      };
      socket.on("data", read).on("close", over).write(text);
    });
  }

  end(): void {
    this.#socket?.destroy();
  }
}
