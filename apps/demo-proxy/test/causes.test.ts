import { writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { UsageReport } from "../src/admin/api/usage/usage-report.ts";
import type { Address } from "../src/config/address.ts";
import { CERT, KEY } from "./proxy/localhost-certificate.ts";
import { listening, refusingPort, startRawUpstream } from "./proxy/node-upstream.ts";
import { call } from "./support/call.ts";
import { type RunningProxy, startProxy, writeConfig } from "./support/running-proxy.ts";
import { tempFolder } from "./support/temp-folder.ts";

/** The proxy in a process of its own, with an access log, on backends by name. */
function start(backends: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv = {}): Promise<RunningProxy> {
  const folder = tempFolder();
  const list = Object.entries(backends).map(([name, url]) => `  - { name: ${name}, url: "${url}" }`);
  const settings = ["log: { access: true }", "timeouts: { headersMs: 1000, idleMs: 1000 }", "backends:", ...list];
  writeConfig(folder, settings.join("\n"));
  return startProxy(folder, env);
}

async function selfSigned(): Promise<string> {
  const server = createServer({ key: KEY, cert: CERT }, (_, response) => response.end("fine"));
  const port = await listening(server);
  onTestFinished(() => void server.close());
  return `https://localhost:${port}`;
}

async function troublesAt(admin: Address) {
  const { backends } = (await call(admin, "/api/usage")).json as UsageReport;
  return Object.fromEntries(backends.map(({ name, trouble }) => [name, trouble]));
}

it("why backends cannot be connected to stands in the log, the access log and the API, and in no answer to a client", async () => {
  const [refusing, signed] = [`http://127.0.0.1:${await refusingPort()}`, await selfSigned()];
  const { child, proxy, admin } = await start({ refusing, signed, nameless: "http://nowhere.invalid" });
  expect(await troublesAt(admin)).toEqual({ refusing: null, signed: null, nameless: null });
  const reply = await call(proxy, "/x");
  expect(reply.status).toBe(502);
  expect(reply.text + JSON.stringify(reply.headers)).not.toMatch(
    /nowhere|ECONN|ENOTFOUND|EAI_|CERT|localhost|127\.0\.0\.1/,
  );

  const since = expect.stringMatching(/^\d{4}-.*Z$/);
  const refused = { code: "ECONNREFUSED", reason: expect.stringContaining("is it running") };
  const unknown = { code: "DEPTH_ZERO_SELF_SIGNED_CERT", reason: expect.stringContaining("NODE_EXTRA_CA_CERTS") };
  // A machine without a name server cannot tell that a name does not exist.
  const unnamed = {
    code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/),
    reason: expect.stringContaining("host name"),
  };
  expect(await troublesAt(admin)).toEqual({
    refusing: { ...refused, since },
    signed: { ...unknown, since },
    nameless: { ...unnamed, since },
  });
  const access = { event: "request", path: "/x", status: 502, backend: "nameless", trouble: unnamed };
  await expect.poll(() => child.log, { timeout: 15_000 }).toContainEqual(expect.objectContaining(access));
  const lines = [
    { backend: "refusing", ...refused, msg: expect.stringContaining('"refusing" is passed over: it refuses') },
    { backend: "signed", ...unknown, msg: expect.stringContaining("DEPTH_ZERO_SELF_SIGNED_CERT") },
    { backend: "nameless", ...unnamed, msg: expect.stringContaining("host name") },
  ];
  for (const line of lines) {
    const expected = expect.objectContaining({ event: "backend-unreachable", level: "warn", ...line });
    await expect.poll(() => child.problems, { timeout: 15_000 }).toContainEqual(expected);
  }
});

it("what the proxy advises about a certificate that signs itself helps", async () => {
  const file = join(tempFolder(), "ca.pem");
  writeFileSync(file, CERT);
  const { proxy, admin } = await start({ signed: await selfSigned() }, { NODE_EXTRA_CA_CERTS: file });
  expect(await call(proxy, "/x")).toMatchObject({ status: 200, text: "fine" });
  expect(await troublesAt(admin)).toEqual({ signed: null });
});

it("why an answer broke off stands there as well, whether its head had come or not, until one is answered", async () => {
  const { port } = await startRawUpstream((socket, text) => {
    if (text.startsWith("GET /reset")) socket.resetAndDestroy();
    else if (text.startsWith("GET /odd")) socket.end("SMTP ready\r\n");
    else if (text.startsWith("GET /silent")) return;
    else if (text.startsWith("GET /half")) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    else socket.end("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine");
  });
  const { child, proxy, admin } = await start({ broken: `http://127.0.0.1:${port}` });
  const expected = [
    ["/reset", 502, "ECONNRESET"],
    ["/odd", 502, "HTTPParserError"],
    ["/silent", 504, "UND_ERR_HEADERS_TIMEOUT"],
    ["/half", 200, "UND_ERR_SOCKET"],
  ] as const;
  for (const [path, status, code] of expected) {
    const response = await fetch(`http://127.0.0.1:${proxy.port}${path}`);
    // Of an answer that had begun, the client sees the end of its connection.
    const text = await response.text().catch(() => "");
    expect(text).not.toMatch(/ECONN|UND_|HTTPParser|127\.0\.0\.1/);
    const trouble = { code, reason: expect.stringContaining("it ") };
    const access = expect.objectContaining({ event: "request", path, status, backend: "broken", trouble });
    await expect.poll(() => child.log, { timeout: 15_000 }).toContainEqual(access);
    expect(await troublesAt(admin)).toMatchObject({ broken: trouble });
  }
  const told = expect.objectContaining({
    event: "backend-broke-off",
    backend: "broken",
    code: "UND_ERR_SOCKET",
    level: "warn",
  });
  await expect.poll(() => child.problems, { timeout: 15_000 }).toContainEqual(told);
  expect(await call(proxy, "/fine")).toMatchObject({ status: 200, text: "fine" });
  expect(await troublesAt(admin)).toEqual({ broken: null });
  await expect
    .poll(() => child.log.find(({ path }) => path === "/fine"), { timeout: 15_000 })
    .not.toHaveProperty("trouble");
});
