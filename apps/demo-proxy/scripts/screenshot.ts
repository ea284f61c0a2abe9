import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Change, type Clock, systemClock, type Tally, type Usage, type UsageStore } from "@usage/counter-core";
import { type OpenSqliteStore, openSqliteStore } from "@usage/store-drizzle/sqlite";
import { sql } from "drizzle-orm";
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
const HOUR_MS = 3_600_000;
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
  const opened = await openSqliteStore(join(folder, "usage.db"), { timeline: true });
  await importMonths(opened);
  await changeSettings(opened);
  // A store dates usage by its own clock, which knows nothing of the day that is shown.
  const merge: UsageStore["merge"] = (tallies, options) => opened.merge(tallies, { ...options, at: clock.now() });
  const app = await startProxy(folder, upstreams, { ...opened, merge });
  const browser = await launchBrowser();
  try {
    const { proxy, admin } = await app.start();
    const urls = [new URL(`http://${formatAddress(proxy)}`)];
    const traffic = new Traffic({ urls, requests: REQUESTS, clients: 4, requestsPerSecond: 24 });
    traffic.start();
    await shoot(browser, `http://${formatAddress(admin)}/`);
    await traffic.stop();
  } finally {
    await browser.close();
    await app.stop({ graceMs: 1_000 });
    await opened.close();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
    await rm(folder, { recursive: true });
  }
}

async function startProxy(folder: string, upstreams: readonly SampleUpstream[], store: UsageStore): Promise<ProxyApp> {
  const backends = BACKENDS.map(({ name, limits }, index): BackendConfig => {
    return { name, limits, url: upstreams[index]?.url ?? new URL("http://127.0.0.1:9") };
  });
  const defaults = parseConfig("backends: [{ name: x, url: 'http://x' }]", { file: "", folder });
  const anywhere = { host: "127.0.0.1", port: 0 };
  return compose({ ...defaults, listen: anywhere, admin: { listen: anywhere }, backends }, { clock, store });
}

/** A year of usage, a little different each month; of this month by hour, less at night and at weekends. */
async function importMonths(store: UsageStore): Promise<void> {
  const today = new Date(clock.now());
  const [year, month] = [today.getUTCFullYear(), today.getUTCMonth()];
  for (let age = PERIODS - 1; age > 0; age -= 1) {
    const at = Date.UTC(year, month - age, 15);
    const tallies = BACKENDS.map(({ name, usual }, index): Tally => {
      const part = (1 - age / 22) * (1 + 0.12 * Math.sin(2.1 * age + index));
      return tallyOf(at, name, usual, part);
    });
    await store.merge(tallies, { at });
  }
  const hours = Array.from(
    { length: Math.floor((clock.now() - Date.UTC(year, month)) / HOUR_MS) + 1 },
    (_, n) => Date.UTC(year, month) + n * HOUR_MS,
  );
  const all = sum(hours.map(weightOf));
  let soFar = 0;
  for (const at of hours) {
    soFar += weightOf(at);
    await store.merge(
      BACKENDS.map(({ name, now }) => tallyOf(at, name, now, soFar / all)),
      { at },
    );
  }
}

function tallyOf(at: number, backend: string, amounts: readonly [number, number, number], part: number): Tally {
  const [apiRequests, egressBytes, ingressBytes] = amounts.map((amount) => Math.round(amount * part));
  const usage = { apiRequests, egressBytes, ingressBytes } as Usage;
  return { writer: "import", period: new Date(at).toISOString().slice(0, 7), backend, usage };
}

/** How busy an hour is. */
function weightOf(at: number): number {
  const date = new Date(at);
  const isWeekend = date.getUTCDay() % 6 === 0;
  const byDay = (isWeekend ? 0.55 : 1) * (1 + 0.15 * Math.sin(1.7 * date.getUTCDate()));
  return byDay * (1.1 - Math.cos(((date.getUTCHours() - 2) / 12) * Math.PI));
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}

/** What operators did by API before, at instants that the day that is shown knows. */
async function changeSettings(store: UsageStore & Pick<OpenSqliteStore, "db">): Promise<void> {
  const { limits } = BACKENDS[1];
  const changes: readonly (readonly [at: string, Change])[] = [
    [
      "2026-11-16T08:12:00Z",
      {
        subject: "backend b2",
        setting: "limits",
        before: JSON.stringify({ ...limits, egressBytes: 3 * TIB }),
        value: JSON.stringify(limits),
        by: "ada@example.com",
        reason: "1 TiB more was bought",
      },
    ],
    [
      "2026-11-17T15:40:00Z",
      {
        subject: "backend archive",
        setting: "drained",
        before: "false",
        value: "true",
        by: "sam@example.com",
        reason: "moves to another region",
      },
    ],
  ];
  for (const [at, change] of changes) {
    const { revision } = (await store.change?.(change)) ?? {};
    store.db.run(sql`update usage_changes set created_at = ${Date.parse(at)} where revision = ${revision}`);
  }
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
      // What this machine is called is nobody's business.
      await page.route("**/api/instances", async (route) => {
        const response = await route.fetch();
        const { instances, ...rest } = (await response.json()) as { instances: readonly object[] };
        const json = { ...rest, instances: instances.map((each) => ({ ...each, host: "proxy-1" })) };
        await route.fulfill({ response, json });
      });
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
