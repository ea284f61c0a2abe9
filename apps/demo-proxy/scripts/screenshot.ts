import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Clock, systemClock, type Tally } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import type { Browser } from "playwright-core";
import { SampleUpstream } from "../demo/sample-upstream.ts";
import { REQUESTS } from "../demo/scenario.ts";
import { Traffic } from "../demo/traffic.ts";
import { compose } from "../src/compose.ts";
import { formatAddress } from "../src/config/address.ts";
import type { BackendConfig } from "../src/config/proxy-config.ts";
import { parseConfig } from "../src/config/read-config.ts";
import type { ProxyApp } from "../src/proxy-app.ts";
import { launchBrowser } from "../test/support/browser.ts";

// Shows the dashboard as it looks on a working day: docs/dashboard.png, and with --all also dark and narrow ones.

const { all, seconds } = parseArgs({
  options: { all: { type: "boolean", default: false }, seconds: { type: "string", default: "70" } },
}).values;
const DOCS = new URL("../../../docs/", import.meta.url).pathname;
const [M, GIB, TIB] = [1_000_000, 1024 ** 3, 1024 ** 4];

/** The day that it shows; time goes on from there. */
const offsetMs = Date.parse("2026-11-18T09:41:00Z") - Date.now();
const clock: Clock = { ...systemClock, now: () => Date.now() + offsetMs };

const PERIODS = 12;
/** Each backend with its limits, and what it has used of each: by now, and in a usual month. */
const BACKENDS = [
  {
    name: "oci",
    limits: { apiRequests: 40 * M, egressBytes: 10 * TIB },
    now: [21 * M, 10 * TIB, 0.6 * TIB],
    usual: [34 * M, 9.1 * TIB, TIB],
  },
  {
    name: "b2",
    limits: { apiRequests: 60 * M, egressBytes: 4 * TIB, ingressBytes: 2 * TIB },
    now: [30 * M, 3.3 * TIB, 0.4 * TIB],
    usual: [41 * M, 3 * TIB, TIB],
  },
  {
    name: "r2",
    limits: { apiRequests: 10 * M, ingressBytes: 100 * GIB },
    now: [1.2 * M, 88 * GIB, 9 * GIB],
    usual: [3 * M, 300 * GIB, 40 * GIB],
  },
  {
    name: "archive",
    limits: { egressBytes: 500 * GIB },
    now: [40_210, 11 * GIB, 230 * GIB],
    usual: [60_000, 20 * GIB, 300 * GIB],
  },
] as const;

await main();

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "usage-screenshot-"));
  const upstreams = await Promise.all(BACKENDS.map(() => SampleUpstream.start()));
  const app = await startProxy(folder, upstreams);
  const browser = await launchBrowser();
  try {
    const { proxy, admin } = await app.start();
    const drained = app.router.upstreams.find(({ name }) => name === "archive");
    if (drained !== undefined) drained.draining = true;
    const urls = [new URL(`http://${formatAddress(proxy)}`)];
    const traffic = new Traffic({ urls, requests: REQUESTS, clients: 4, requestsPerSecond: 24 });
    traffic.start();
    await shoot(browser, `http://${formatAddress(admin)}/`);
    await traffic.stop();
  } finally {
    await browser.close();
    await app.stop({ graceMs: 1_000 });
    await Promise.all(upstreams.map((upstream) => upstream.close()));
    await rm(folder, { recursive: true });
  }
}

async function startProxy(folder: string, upstreams: readonly SampleUpstream[]): Promise<ProxyApp> {
  const file = join(folder, "usage.db");
  const store = await openSqliteStore(file);
  await store.merge(tallies());
  await store.close();
  const backends = BACKENDS.map(({ name, limits }, index): BackendConfig => {
    return { name, limits, url: upstreams[index]?.url ?? new URL("http://127.0.0.1:9") };
  });
  const defaults = parseConfig("backends: [{ name: x, url: 'http://x' }]", { file: "", folder });
  const anywhere = { host: "127.0.0.1", port: 0 };
  return compose({ ...defaults, listen: anywhere, admin: { listen: anywhere }, backends }, { clock });
}

/** A year of usage, a little different each month. */
function tallies(): readonly Tally[] {
  const today = new Date(clock.now());
  return Array.from({ length: PERIODS }, (_, age) => age).flatMap((age) => {
    const period = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - age)).toISOString().slice(0, 7);
    return BACKENDS.map(({ name, now, usual }, index): Tally => {
      const part = (1 - age / 22) * (1 + 0.12 * Math.sin(2.1 * age + index));
      const [apiRequests, egressBytes, ingressBytes] = age === 0 ? now : usual.map((amount) => amount * part);
      const whole = (amount = 0): number => Math.round(amount);
      const usage = {
        apiRequests: whole(apiRequests),
        egressBytes: whole(egressBytes),
        ingressBytes: whole(ingressBytes),
      };
      return { writer: "import", period, backend: name, usage };
    });
  });
}

async function shoot(browser: Browser, address: string): Promise<void> {
  const looks = [
    { path: join(DOCS, "dashboard.png"), width: 1440, height: 900, colorScheme: "light" },
    { path: join(tmpdir(), "dashboard-dark.png"), width: 1440, height: 900, colorScheme: "dark" },
    { path: join(tmpdir(), "dashboard-375.png"), width: 375, height: 800, colorScheme: "light" },
    { path: join(tmpdir(), "dashboard-375-dark.png"), width: 375, height: 800, colorScheme: "dark" },
  ] as const;
  await mkdir(DOCS, { recursive: true });
  const pages = await Promise.all(
    looks.slice(0, all ? looks.length : 1).map(async ({ path, width, height, colorScheme }) => {
      const page = await browser.newPage({ viewport: { width, height }, colorScheme });
      await page.goto(address);
      return { page, path };
    }),
  );
  await delay(Number(seconds) * 1_000);
  for (const { page, path } of pages) {
    await page.screenshot({ path, fullPage: true });
    console.log(path);
  }
}
