import { once } from "node:events";
import { request } from "node:http";
import { expect, it } from "vitest";
import { accessLog } from "../../src/log/access-log.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";
import { startHeldUpstream } from "../support/held-upstream.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { startProxy, writeConfig } from "../support/running-proxy.ts";
import { tempFolder } from "../support/temp-folder.ts";

it("the proxy tells its start, addresses, limits, drains and end, and no request unless asked to", async () => {
  const upstream = await startUpstream();
  const folder = tempFolder();
  const backends = `backends: [{ name: oci, url: "${upstream.url.href}", limits: { apiRequests: 1 } }]`;
  writeConfig(folder, `${backends}\n# secrets: below`.replace("backends", "flush: { intervalMs: 50 }\nbackends"));
  const { child, proxy, admin } = await startProxy(folder);
  const { version, node, config } = await child.event("start");
  expect([version, node]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/), process.version]);
  expect(config).toMatchObject({ admin: { token: false }, backends: [{ name: "oci", limits: { apiRequests: 1 } }] });
  for (const status of [200, 429]) expect((await call(proxy, "/objects/10?X-Signature=s3cret")).status).toBe(status);
  await call(admin, "/api/backends/oci/drain", { method: "POST" });
  expect(await child.event("drain")).toMatchObject({ backend: "oci" });
  expect(child.problems).toMatchObject([{ event: "limit-reached", backend: "oci", exceeded: ["apiRequests"] }]);
  child.signal("SIGTERM");
  expect(await child.exit()).toBe(0);
  expect(child.log.map(({ event }) => event)).toEqual([
    "start",
    "listening",
    "setting",
    "drain",
    "stopping",
    "stopped",
  ]);
  expect(child.output + child.errors).not.toContain("s3cret");
});

it("the access log has a line for each request, without its query", async () => {
  const upstream = await startUpstream();
  const { log, lines } = recordedLog();
  const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
  const { proxy } = await startApp(config, { accessLog: accessLog(log) });
  await call(proxy, "/objects/10?X-Signature=s3cret");
  await call(proxy, "/", { method: "PUT", body: "abc" });
  await call(proxy, "/a/../b?s3cret");
  await expect.poll(() => lines.length).toBe(3);
  expect(upstream.measured().egressBytes).toBeGreaterThan(0);
  const entry = { level: "info", event: "request", complete: true, durationMs: expect.any(Number) };
  expect(lines).toMatchObject([
    { ...entry, method: "GET", path: "/objects/10", status: 200, backend: "oci" },
    { ...entry, method: "PUT", path: "/", status: 200, backend: "oci", egressBytes: upstream.measured().egressBytes },
    { ...entry, method: "GET", path: "/a/../b", status: 400, egressBytes: 0 },
  ]);
  expect(JSON.stringify(lines)).not.toContain("s3cret");
  for (const { durationMs } of lines) expect(durationMs).toBeGreaterThan(0);
});

it("the access log tells that a client went away before it had everything", async () => {
  const upstream = await startHeldUpstream();
  const { log, lines } = recordedLog();
  const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
  const { proxy } = await startApp(config, { accessLog: accessLog(log) });
  const sent = request({ host: proxy.host, port: proxy.port, path: "/x", agent: false }).on("error", () => {});
  sent.end();
  const response = await upstream.next();
  response.write("some");
  const [received] = await once(sent, "response");
  await once(received, "data");
  sent.destroy();
  await expect.poll(() => lines).toMatchObject([{ path: "/x", status: 200, egressBytes: 4, complete: false }]);
  response.end();
});
