import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { systemClock } from "@usage/counter-core";
import { expect, it, onTestFinished } from "vitest";
import { DEFAULT_TIMEOUTS } from "../../src/proxy/http/timeouts.ts";
import { type Trouble, troubleOf } from "../../src/proxy/upstream/trouble.ts";
import { Upstream } from "../../src/proxy/upstream/upstream.ts";
import { CERT, KEY } from "./localhost-certificate.ts";
import { listening, refusingPort, startRawUpstream } from "./node-upstream.ts";

/** What a request to this address fails with. */
async function troubleAt(url: string, ca?: string): Promise<Trouble> {
  const timeouts = { ...DEFAULT_TIMEOUTS, headersMs: 300, idleMs: 300 };
  const upstream = new Upstream({ name: "a", url: new URL(url), timeouts, clock: systemClock, ...(ca && { ca }) });
  onTestFinished(() => upstream.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<Error>();
  upstream.dispatch(
    { method: "GET", path: "/", headers: [], body: null },
    {
      onRequestStart: () => {},
      onResponseStart: () => {},
      onResponseData: () => {},
      onResponseEnd: () => reject(new Error("was answered")),
      onResponseError: (_, error) => resolve(error),
    },
    { upgrades: false, isConnectionNew: false },
  );
  return troubleOf(await promise);
}

/** The address of a server that answers every request with these bytes, and then ends the connection or stays silent. */
async function answering(text: string, then: "end" | "silence" | "reset"): Promise<string> {
  const { port } = await startRawUpstream((socket) => {
    if (then === "reset") socket.resetAndDestroy();
    else if (then === "end") socket.end(text);
    else socket.write(text);
  });
  return `http://127.0.0.1:${port}`;
}

async function startTls(options: TlsOptions = {}): Promise<number> {
  const server = createTlsServer({ key: KEY, cert: CERT, ...options });
  server.on("tlsClientError", () => {});
  const port = await listening(server);
  onTestFinished(() => void server.close());
  return port;
}

async function startPlain(): Promise<number> {
  const server = createHttpServer((_, response) => response.end());
  const port = await listening(server);
  onTestFinished(() => void server.close());
  return port;
}

it.each<[what: string, url: () => Promise<string>, code: RegExp, reason: RegExp, ca?: string]>([
  [
    "a port that nobody listens on",
    async () => `http://127.0.0.1:${await refusingPort()}`,
    /^ECONNREFUSED$/,
    /is it running/,
  ],
  // A machine without a name server cannot tell that the name does not exist.
  ["a name that nobody has", async () => "http://nowhere.invalid", /^(ENOTFOUND|EAI_AGAIN)$/, /host name of its url/],
  [
    "a certificate that signs itself",
    async () => `https://localhost:${await startTls()}`,
    /^DEPTH_ZERO_SELF_SIGNED_CERT$/,
    /NODE_EXTRA_CA_CERTS/,
  ],
  [
    "a certificate for another name",
    async () => `https://127.0.0.1:${await startTls()}`,
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    /for another name/,
    CERT,
  ],
  [
    "a TLS version of the past",
    async () =>
      `https://localhost:${await startTls({ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" })}`,
    /^ERR_SSL_/,
    /TLS 1\.2 or later/,
    CERT,
  ],
  [
    "HTTP where TLS is expected",
    async () => `https://localhost:${await startPlain()}`,
    /^(ERR_SSL_|EPROTO)/,
    /to be http:/,
    CERT,
  ],
  ["TLS where HTTP is expected", async () => `http://localhost:${await startTls()}`, /./, /to be https:/],
  ["another protocol", () => answering("SSH-2.0-OpenSSH_9.9\r\n", "silence"), /^H/, /valid HTTP/],
  ["a header that is none", () => answering("HTTP/1.1 200 OK\r\nf oo: x\r\n\r\n", "silence"), /^H/, /valid HTTP/],
  [
    "a head that is too large",
    () => answering(`HTTP/1.1 200 OK\r\nx: ${"x".repeat(90_000)}\r\n\r\n`, "silence"),
    /^UND_ERR_HEADERS_OVERFLOW$/,
    /larger/,
  ],
  [
    "a body that stops",
    () => answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nx", "silence"),
    /^UND_ERR_BODY_TIMEOUT$/,
    /timeouts\.idleMs/,
  ],
  [
    "a body that is cut",
    () => answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nx", "end"),
    /^UND_ERR_SOCKET$/,
    /before its answer is complete/,
  ],
  ["a reset", () => answering("", "reset"), /^ECONNRESET$/, /before its answer is complete/],
  [
    "a switch of protocols",
    () => answering("HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "silence"),
    /^UND_ERR_SOCKET$/,
    /another protocol/,
  ],
])("%s is told with its code, and with what to do", async (_, url, code, reason, ca) => {
  const trouble = await troubleAt(await url(), ca);
  expect(trouble).toEqual({ code: expect.stringMatching(code), reason: expect.stringMatching(reason) });
});

it("what several addresses of one name say is told by the one that says most, though the error has no message", async () => {
  const port = await refusingPort();
  const socket = connect({
    host: "two.invalid",
    port,
    lookup: (_name, _options, found) =>
      found(
        null,
        ["127.0.0.1", "127.0.0.2"].map((address) => ({ address, family: 4 })),
      ),
    autoSelectFamily: true,
  });
  const [error] = await once(socket, "error");
  expect(error).toMatchObject({ name: "AggregateError", message: "" });
  expect(troubleOf(error)).toEqual({ code: "ECONNREFUSED", reason: expect.stringContaining("refuses connections") });
  const far = Object.assign(new Error("connect ENETUNREACH 2001:db8::1:443"), { code: "ENETUNREACH" });
  const late = Object.assign(new Error("connect ETIMEDOUT 10.0.0.1:443"), { code: "ETIMEDOUT" });
  expect(troubleOf(new AggregateError([far, late])).code).toBe("ETIMEDOUT");
  expect(troubleOf(new AggregateError([far, error])).code).toBe("ECONNREFUSED");
});

it.each([
  ["CERT_HAS_EXPIRED", "certificate has expired", /expired; renew it/],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify the first certificate", /whole chain/],
  ["SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate in certificate chain", /NODE_EXTRA_CA_CERTS/],
  [
    "EPROTO",
    "write EPROTO 80:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:ssl.c:1:\n",
    /to be http:/,
  ],
  ["EPROTO", "write EPROTO 80:error:0A000410:SSL routines::sslv3 alert handshake failure:s3.c:1:\n", /TLS 1\.2/],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "alert", /demands a certificate/],
  ["EAI_AGAIN", "getaddrinfo EAI_AGAIN x", /name server/],
  ["UND_ERR_CONNECT_TIMEOUT", "Connect Timeout Error", /firewall/],
  ["UND_ERR_HEADERS_TIMEOUT", "Headers Timeout Error", /timeouts\.headersMs/],
  ["EMFILE", "connect EMFILE 10.0.0.1:80", /open files/],
])("%s is told in words (%s)", (code, message, reason) => {
  const error = Object.assign(new Error(message), { code });
  expect(troubleOf(error)).toEqual({ code, reason: expect.stringMatching(reason) });
  expect(troubleOf(new TypeError("fetch failed", { cause: error })).code).toBe(code);
});

it("what is not known passes with its own words, in one line of a bearable length", () => {
  expect(troubleOf(Object.assign(new Error("odd\n"), { code: "EODD" }))).toEqual({
    code: "EODD",
    reason: "it failed: odd",
  });
  expect(troubleOf(new RangeError(""))).toEqual({ code: "RangeError", reason: "it failed with RangeError" });
  expect(troubleOf("text")).toEqual({ code: "unknown", reason: "it failed: text" });
  expect(troubleOf(new AggregateError([], ""))).toEqual({
    code: "AggregateError",
    reason: "it failed with AggregateError",
  });
  expect(troubleOf(new Error("x".repeat(10_000))).reason.length).toBeLessThan(400);
});
