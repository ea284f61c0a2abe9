import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { get } from "node:http";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { freePort, type NginxServer, startNginx } from "@usage/test-servers";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Address } from "../../src/config/address.ts";
import { CERT, KEY } from "../proxy/localhost-certificate.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { card, openUrl, textOf, untilLive } from "./watched-page.ts";

const HOST = "ops.example.com";

const README_LINES = nginxLines(await readFile(new URL("../../README.md", import.meta.url), "utf8"));

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser([`--host-resolver-rules=MAP ${HOST} 127.0.0.1`]);
});
afterAll(() => browser?.close());

/** The lines to copy into a server block. */
function nginxLines(readme: string): string {
  const [, lines] = /```nginx\n(.*?)```/s.exec(readme) ?? [];
  if (lines === undefined) throw new Error("the README has no lines for nginx");
  return lines;
}

/** An nginx, and a proxy whose admin listener it shows at `url`. */
async function start(url: (port: number, tlsPort: number) => string, location: (admin: Address) => string) {
  const [adminPort, tlsPort, upstream] = [await freePort(), await freePort(), await startUpstream()];
  const admin = { host: "127.0.0.1", port: adminPort };
  const nginx = await startNginx({ config: `${tls(tlsPort)}\n${location(admin)}` });
  onTestFinished(() => nginx.stop());
  const address = url(nginx.port, tlsPort);
  const backends = [{ name: "oci", url: upstream.url, limits: { apiRequests: 20 } }];
  const config = testConfig(backends, { admin: { listen: admin, urls: [address] } });
  return { ...(await startApp(config)), nginx, address };
}

function tls(port: number): string {
  const folder = tempFolder();
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(cert, CERT);
  writeFileSync(key, KEY);
  return `listen 127.0.0.1:${port} ssl; ssl_certificate ${cert}; ssl_certificate_key ${key};`;
}

const http = (path: string) => (port: number) => `http://${HOST}:${port}${path}`;
const https = (path: string) => (_: number, port: number) => `https://${HOST}:${port}${path}`;

describe("the dashboard behind nginx", () => {
  it.each<[way: string, url: (port: number, tlsPort: number) => string, location: (admin: Address) => string]>([
    [
      "as the README has it",
      https("/usage/"),
      ({ port }) => README_LINES.replace("127.0.0.1:8081", `127.0.0.1:${port}`),
    ],
    [
      "that takes its path off and knows nothing more",
      http("/usage/"),
      ({ port }) => `location /usage/ { proxy_pass http://127.0.0.1:${port}/; }`,
    ],
    [
      "that leaves its path on, ends TLS, compresses and passes the host without its port",
      https("/usage/"),
      ({ port }) => `gzip on; gzip_proxied any; gzip_min_length 1; gzip_types *;
        location /usage { proxy_pass http://127.0.0.1:${port}; proxy_set_header Host $host; }`,
    ],
    [
      "under the name of one of its own folders, which is left on",
      http("/dashboard/"),
      ({ port }) => `location /dashboard/ { proxy_pass http://127.0.0.1:${port}; }`,
    ],
    [
      "under the name of one of its own folders, which is taken off",
      http("/dashboard/"),
      ({ port }) => `location /dashboard/ { proxy_pass http://127.0.0.1:${port}/; }`,
    ],
    [
      "at the root",
      http("/"),
      ({ port }) => `location / { proxy_pass http://127.0.0.1:${port}; proxy_set_header Host $http_host; }`,
    ],
  ])("%s, moves, and its buttons work", async (_, url, location) => {
    const { app, proxy, address } = await start(url, location);
    const { page, complaints } = await openUrl(browser, address);
    await untilLive(page);
    const { article, shows, hasState } = card(page, "oci");
    for (let n = 1; n <= 3; n += 1) {
      await call(proxy, "/objects/10");
      await shows("apiRequests", new RegExp(`${n} of 20`));
    }
    await page.getByRole("button", { name: "Flush now" }).click();
    await expect.poll(() => textOf(page.getByRole("group", { name: "Store" }))).toMatch(/Stored/);
    await expect.poll(() => textOf(page.locator("#audit-summary"))).toContain("All 3 numbers are the same");
    await expect.poll(() => textOf(page.locator("#history-summary"))).not.toBe("");
    await article.getByRole("button", { name: "Drain oci" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Drain", exact: true }).click();
    await hasState("draining");
    expect(app.router.upstreams[0]?.draining).toBe(true);
    expect(complaints).toEqual([]);
    if (new URL(address).pathname === "/") return;
    await page.goto(address.slice(0, -1));
    expect(page.url()).toBe(address);
    await untilLive(page);
  });

  it.each([
    ["as it is", "", undefined],
    ["compressed", "gzip on; gzip_proxied any; gzip_min_length 1; gzip_types *;", "gzip"],
  ])("tells each event when it happens, %s", async (_, settings, encoding) => {
    const { nginx } = await start(http("/usage/"), ({ port }) => {
      return `${settings} location /usage/ { proxy_pass http://127.0.0.1:${port}/; }`;
    });
    const { contentEncoding, ages } = await listen(nginx, 4);
    expect(contentEncoding).toBe(encoding);
    // nginx would collect some 8 of them, so that the first of a lump is seconds old.
    for (const ageMs of ages) expect(ageMs).toBeLessThan(2_000);
  });

  it("changes nothing for a page of another site, nor for another address of the same host", async () => {
    const { app, nginx, address } = await start(http("/usage/"), ({ port }) => {
      return `location /usage/ { proxy_pass http://127.0.0.1:${port}/; }`;
    });
    const drain = async (headers: Record<string, string>): Promise<number> => {
      const options = { method: "POST", headers: { host: HOST, ...headers } };
      return (await call({ host: "127.0.0.1", port: nginx.port }, "/usage/api/backends/oci/drain", options)).status;
    };
    const { origin, host } = new URL(address);
    for (const foreign of ["https://evil.example", `https://${host}`, "http://127.0.0.1:9", "null"]) {
      expect([foreign, await drain({ origin: foreign })]).toEqual([foreign, 403]);
    }
    expect(await drain({ origin, "sec-fetch-site": "cross-site" })).toBe(403);
    expect(app.router.upstreams[0]?.draining).toBe(false);
    expect(await drain({ origin, "sec-fetch-site": "same-origin" })).toBe(200);
  });
});

/** How old each of the next events is when it arrives, for a client that takes gzip. */
async function listen({ port }: NginxServer, count: number) {
  const ages: number[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const request = get({ port, path: "/usage/api/events", headers: { "accept-encoding": "gzip" } }, (response) => {
    const encoding = response.headers["content-encoding"];
    const text = encoding === "gzip" ? response.pipe(createGunzip()) : response;
    let rest = "";
    text.on("data", (chunk) => {
      const events = `${rest}${chunk}`.split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) ages.push(Date.now() - Date.parse(JSON.parse(event.slice("data: ".length)).at));
      if (ages.length >= count) resolve(encoding);
    });
  });
  request.on("error", reject);
  onTestFinished(() => void request.destroy());
  return { contentEncoding: await promise, ages };
}
