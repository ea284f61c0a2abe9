import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type IncomingMessage, request as plainRequest } from "node:http";
import { Agent, createServer, request } from "node:https";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { Address } from "../src/config/address.ts";
import { parseConfig } from "../src/config/read-config.ts";
import { CERT, KEY } from "./proxy/localhost-certificate.ts";
import { listening, startUpstream } from "./proxy/node-upstream.ts";
import { startWebSockets } from "./proxy/websocket-upstream.ts";
import { startApp, testConfig } from "./support/app.ts";
import { EXPIRED_CERT, OTHER_CERT, OTHER_KEY } from "./support/certificates.ts";
import { startProxy } from "./support/running-proxy.ts";
import { tempFolder } from "./support/temp-folder.ts";

const TRUSTED = { ca: [CERT, OTHER_CERT], servername: "localhost" };

interface Reply {
  readonly status: number | undefined;
  readonly text: string;
  /** Which certificate was shown. */
  readonly shown: string;
}

const NAMES = new Map([
  [CERT.trim(), "first"],
  [OTHER_CERT.trim(), "other"],
]);

async function call({ port }: Address, path: string, agent: Agent | false = false): Promise<Reply> {
  const sent = request({ host: "127.0.0.1", port, path, agent, ...TRUSTED }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const pem = (response.socket as TLSSocket).getPeerX509Certificate()?.toString() ?? "";
  return {
    status: response.statusCode,
    text: await text(response),
    shown: sent.reusedSocket ? "as before" : (NAMES.get(pem.trim()) ?? pem),
  };
}

/** A proxy whose listeners speak TLS, and a backend that tells what it is told of the request. */
async function start(folder = tempFolder()) {
  writeFileSync(join(folder, "cert.pem"), CERT);
  writeFileSync(join(folder, "key.pem"), KEY);
  const upstream = await startUpstream(({ headers }, response) => {
    response.end(`${headers["x-forwarded-proto"]} ${headers.forwarded ?? ""}`);
  });
  const settings = `tls: { cert: cert.pem, key: key.pem }
admin: { listen: 127.0.0.1:0, tls: { cert: cert.pem, key: key.pem } }
backends: [{ name: a, url: "http://127.0.0.1:${upstream.port}" }]`;
  return { folder, upstream, settings };
}

async function startTls() {
  const { folder, upstream, settings } = await start();
  const { tls, admin, backends } = parseConfig(settings, { file: "t.yaml", folder });
  const config = testConfig(backends, { admin, ...(tls && { tls }), trustedProxies: ["127.0.0.0/8"] });
  return { ...(await startApp(config)), config, upstream };
}

/** What becomes of an attempt to agree on TLS. */
async function handshake({ port }: Address, options: ConnectionOptions): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, ...TRUSTED, ...options });
  onTestFinished(() => void socket.destroy());
  return new Promise((resolve) => {
    socket
      .on("secureConnect", () => resolve(`${socket.getProtocol()} ${socket.alpnProtocol}`))
      .on("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  });
}

describe("listeners with a certificate", () => {
  it("speak HTTP/1.1 over TLS 1.2 and later, tell backends so, and count bodies without it", async () => {
    const { app, proxy, admin, config, upstream } = await startTls();
    expect(await call(proxy, "/")).toEqual({ status: 200, text: "https ", shown: "first" });
    expect(app.tracker.counter.totalAll("a")).toEqual({ apiRequests: 1, egressBytes: 6, ingressBytes: 0 });
    expect(await call(admin, "/healthz")).toMatchObject({ status: 200, shown: "first" });

    expect(await handshake(proxy, { ALPNProtocols: ["h2", "http/1.1"] })).toBe("TLSv1.3 http/1.1");
    expect(await handshake(proxy, { maxVersion: "TLSv1.2" })).toBe("TLSv1.2 false");
    expect(await handshake(proxy, { ALPNProtocols: ["h2"] })).toMatch(/NO_APPLICATION_PROTOCOL/);
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    expect(await handshake(proxy, old)).toMatch(/PROTOCOL_VERSION/);

    // Who speaks plain HTTP to it is not answered, and sends nothing on.
    for (const { port } of [proxy, admin]) {
      const plain = plainRequest({ host: "127.0.0.1", port, agent: false }).end();
      await expect(once(plain, "response")).rejects.toThrow(/hang up|ECONNRESET/);
    }
    expect(upstream.requests).toHaveLength(1);

    // Nobody who has not agreed on TLS holds up the end.
    const silent = [proxy, admin].map(({ port }) => connectTcp(port, "127.0.0.1"));
    for (const socket of silent)
      await once(
        socket.on("error", () => {}),
        "connect",
      );
    // They are accepted in the order in which they came.
    for (const address of [proxy, admin]) await call(address, "/healthz");
    onTestFinished(() => {
      for (const socket of silent) socket.destroy();
    });
    const late = new Promise((resolve) => setTimeout(resolve, 5_000, "late"));
    expect(await Promise.race([app.stop({ graceMs: config.shutdown.graceMs }), late])).toEqual({ cut: 0 });
    for (const socket of silent) await expect.poll(() => socket.closed).toBe(true);
  });

  it("show another certificate from the next connection on, and go on with those that are open", async () => {
    const { folder, settings } = await start();
    writeFileSync(join(folder, "proxy.yaml"), `listen: 127.0.0.1:0\n${settings}\n`);
    const { child, proxy, admin } = await startProxy(folder);
    expect(await child.event("listening")).toMatchObject({
      proxy: expect.stringMatching(/^https:/),
      admin: expect.stringMatching(/^https:/),
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    expect(await call(proxy, "/", agent)).toMatchObject({ status: 200, shown: "first" });

    // What cannot be used changes nothing.
    writeFileSync(join(folder, "cert.pem"), EXPIRED_CERT);
    writeFileSync(join(folder, "key.pem"), OTHER_KEY);
    child.signal("SIGHUP");
    await expect.poll(() => child.problems.map(({ event }) => event)).toEqual(["config-refused"]);
    expect(child.problems[0]?.msg).toContain("tls.cert: its certificate has expired on 2020-02-01");
    expect(await call(proxy, "/")).toMatchObject({ shown: "first" });

    writeFileSync(join(folder, "cert.pem"), OTHER_CERT);
    child.signal("SIGHUP");
    expect((await child.event("config")).msg).toBe(
      "SIGHUP: configuration taken over (new certificate in tls and admin.tls)",
    );
    expect(await call(proxy, "/", agent)).toMatchObject({ status: 200, shown: "as before" });
    expect(await call(proxy, "/")).toMatchObject({ status: 200, shown: "other" });
    expect(await call(admin, "/healthz")).toMatchObject({ status: 200, shown: "other" });
    agent.destroy();
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);
    expect(child.output + child.errors).not.toContain("PRIVATE");
  });
});

it("WebSockets pass over TLS on both sides, and a client that does not agree on TLS in time is let go of", async () => {
  const [{ folder, settings }, echo] = [await start(), await startWebSockets({}, true)];
  const { tls, backends } = parseConfig(settings.replace(/http:\S+(?=")/, `https://localhost:${echo.port}`), {
    file: "t.yaml",
    folder,
  });
  const trusting = backends.map((backend) => ({ ...backend, ca: { file: "", pem: CERT } }));
  const timeouts = { connectMs: 5_000, headersMs: 500, idleMs: 5_000, keepAliveMs: 5_000 };
  const { app, proxy } = await startApp(testConfig(trusting, { ...(tls && { tls }), timeouts }));
  const silent = connectTcp(proxy.port, "127.0.0.1").on("error", () => {});
  const ws = new WebSocket(`wss://127.0.0.1:${proxy.port}/`, TRUSTED);
  await once(ws, "open");
  ws.send(Buffer.alloc(200_000));
  const [message] = await once(ws, "message");
  expect(message).toHaveLength(200_000);
  ws.close(1000);
  await once(ws, "close");
  await expect.poll(() => app.inFlight()).toBe(0);
  expect(app.tracker.counter.totalAll("a")).toMatchObject({
    apiRequests: 1,
    ingressBytes: 200_000 + 14 + 8,
    egressBytes: 200_000 + 10 + 4,
  });
  await expect.poll(() => silent.closed).toBe(true);
});

describe("a backend with a ca", () => {
  it("is trusted by it, and by another one as soon as the configuration has that", async () => {
    const server = createServer({ cert: OTHER_CERT, key: OTHER_KEY }, (_, response) => void response.end("hello"));
    const url = new URL(`https://localhost:${await listening(server)}`);
    onTestFinished(() => void server.close());
    const backend = (pem: string) => ({ name: "a", url, limits: {}, ca: { file: "ca.pem", pem } });
    const config = testConfig([backend(CERT)]);
    const { app, proxy } = await startApp(config);
    const get = async () => (await fetch(`http://127.0.0.1:${proxy.port}/`)).status;
    expect(await get()).toBe(502);
    expect(app.router.upstreams[0]?.trouble?.code).toMatch(/SELF_SIGNED/);
    const change = await app.live.take(async () => ({ ...config, backends: [backend(OTHER_CERT)] }));
    expect(change).toMatchObject({ changed: ["a"], renewed: [], needRestart: [] });
    expect(await get()).toBe(200);
    expect(app.tracker.counter.totalAll("a")).toMatchObject({ apiRequests: 1, egressBytes: 5 });
  });
});
