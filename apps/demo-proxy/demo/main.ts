import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Usage } from "@usage/counter-core";
import { compose } from "../src/compose.ts";
import { type Address, formatAddress } from "../src/config/address.ts";
import type { ProxyConfig } from "../src/config/proxy-config.ts";
import { onSignal } from "../src/process/signals.ts";
import { DEFAULT_HEAD_LIMITS } from "../src/proxy/head-limits.ts";
import { DEFAULT_TIMEOUTS } from "../src/proxy/timeouts.ts";
import type { ProxyApp } from "../src/proxy-app.ts";
import { audit, readStored, renderAudit } from "./audit.ts";
import { portOrAny } from "./ports.ts";
import { SampleUpstream } from "./sample-upstream.ts";
import { CLIENTS, REQUESTS, REQUESTS_PER_SECOND, TIERS } from "./scenario.ts";
import { Screen } from "./screen.ts";
import { type DemoView, type Paint, paint, renderLine, renderTable } from "./table.ts";
import { Traffic } from "./traffic.ts";

const HELP = `Usage: demo [--seconds N]

Three sample upstreams with small monthly limits, the proxy in front of them, and
steady traffic: watch it spill from one to the next and end in 429s. At the end,
what the upstreams measured is compared with what was counted and stored.

  --seconds N   end after N seconds; without it, Ctrl-C does
  --help        this text
`;

// Whoever reads the output may leave; the demo still ends in order.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
await main();

async function main(): Promise<void> {
  const options = { seconds: { type: "string" }, help: { type: "boolean" } } as const;
  try {
    const { seconds, help } = parseArgs({ options }).values;
    if (help) return void process.stdout.write(HELP);
    await demo(seconds === undefined ? undefined : positive(seconds));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    // Whatever still listens is of no use any more.
    process.exit(1);
  }
}

function positive(seconds: string): number {
  const value = Number(seconds);
  if (value > 0 && value <= 2_000_000) return value;
  throw new RangeError(`--seconds must be a number above 0 and at most 2000000, got ${JSON.stringify(seconds)}`);
}

async function demo(seconds: number | undefined): Promise<void> {
  const styled = paint(process.stdout.isTTY && !process.env.NO_COLOR);
  const upstreams = new Map(
    await Promise.all(TIERS.map(async ({ name }) => [name, await SampleUpstream.start()] as const)),
  );
  const file = join(await mkdtemp(join(tmpdir(), "usage-demo-")), "usage.db");
  const config = await configure(upstreams, file);
  const app = await compose(config);
  const ended = untilTold(seconds);
  const addresses = await app.start();
  announce(config, addresses, file, styled);
  console.log(`  ${styled("dim", seconds === undefined ? "Ctrl-C ends it" : `ends after ${seconds} s`)}\n`);

  const url = new URL(`http://${formatAddress(addresses.proxy)}`);
  const traffic = new Traffic({ url, requests: REQUESTS, clients: CLIENTS, requestsPerSecond: REQUESTS_PER_SECOND });
  traffic.start();
  const endShow = show(app, traffic, styled);
  await ended;
  await traffic.stop();
  endShow();

  await app.flusher.flush();
  const counted = await countedUsage(app);
  const { flushError } = await app.stop({ graceMs: 10_000 });
  await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
  if (flushError !== undefined) throw flushError;

  const measured = new Map([...upstreams].map(([name, upstream]) => [name, upstream.measured()]));
  const rows = audit(measured, counted, readStored(file));
  const different = rows.filter(({ agrees }) => !agrees).length;
  console.log(`\n${renderAudit(rows, styled).join("\n")}\n`);
  if (different > 0) throw new Error(`${different} of ${rows.length} numbers differ; see ${file}`);
  console.log(`  Equal to the last byte. What was stored is in ${file}\n`);
}

async function configure(upstreams: ReadonlyMap<string, SampleUpstream>, file: string): Promise<ProxyConfig> {
  const host = "127.0.0.1";
  return {
    listen: { host, port: await portOrAny(8080) },
    admin: { listen: { host, port: await portOrAny(8081) } },
    counter: { kind: "local" },
    store: { kind: "sqlite", file },
    flush: { intervalMs: 1_000, nearLimitIntervalMs: 1_000, nearLimitRatio: 0.8, timeoutMs: 30_000 },
    routing: "pack",
    timeouts: DEFAULT_TIMEOUTS,
    heads: DEFAULT_HEAD_LIMITS,
    shutdown: { drainDelayMs: 0, graceMs: 10_000 },
    trustedProxies: [],
    log: { level: "info", access: false },
    thresholds: [],
    webhooks: [],
    backends: TIERS.flatMap(({ name, limits }) => {
      const url = upstreams.get(name)?.url;
      return url === undefined ? [] : [{ name, url, limits }];
    }),
  };
}

/** Ends with the time that was given, or with a signal. */
function untilTold(seconds: number | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = seconds === undefined ? undefined : setTimeout(resolve, seconds * 1_000);
  void onSignal(async () => {
    clearTimeout(timer);
    resolve();
  });
  return promise;
}

function announce(
  config: ProxyConfig,
  { proxy, admin }: { proxy: Address; admin: Address },
  file: string,
  styled: Paint,
): void {
  const taken = (wanted: number, got: Address): string =>
    wanted === got.port ? "" : `   (port ${wanted} is taken, so it is ${got.port})`;
  console.log(`
  dashboard  ${styled("bold", `http://${formatAddress(admin)}/`)}${taken(8081, admin)}
  usage      http://${formatAddress(admin)}/api/usage
  proxy      http://${formatAddress(proxy)}${taken(8080, proxy)}
  SQLite     ${file}
  traffic    ${REQUESTS_PER_SECOND} requests/s from ${CLIENTS} clients to ${config.backends.map(({ name }) => name).join(", then ")}`);
}

/** Shows how it goes until the returned function is called. */
function show(app: ProxyApp, traffic: Traffic, styled: Paint): () => void {
  const start = performance.now();
  const view = (): DemoView => ({
    elapsedMs: performance.now() - start,
    period: app.tracker.counter.period().key,
    backends: app.router.upstreams.map(({ name }) => {
      const { allowed, usage, limits } = app.tracker.check(name, { apiRequests: 1, egressBytes: 1 });
      return { name, open: allowed, usage, limits };
    }),
    answers: traffic.answers(),
  });
  const height = renderTable(view(), styled).length;
  const animated = process.stdout.isTTY && process.env.TERM !== "dumb" && process.stdout.rows > height;
  const screen = new Screen(process.stdout);
  const draw = (): void => (animated ? screen.draw(renderTable(view(), styled)) : console.log(renderLine(view())));
  const timer = setInterval(draw, animated ? 100 : 1_000);
  const giveBack = (): void => screen.close();
  process.on("exit", giveBack);
  return () => {
    clearInterval(timer);
    draw();
    screen.close();
    process.off("exit", giveBack);
  };
}

/** What the proxy counted: of this period in its counter, of those that ended meanwhile in its store. */
async function countedUsage(app: ProxyApp): Promise<Map<string, Usage>> {
  const counter = app.tracker.counter;
  const { key } = counter.period();
  const counted = new Map(counter.backends().map((name) => [name, counter.totalAll(name)]));
  for (const { period, backend, usage } of await app.store.history({})) {
    const now = counted.get(backend);
    if (period === key || now === undefined) continue;
    counted.set(backend, {
      apiRequests: now.apiRequests + (usage.apiRequests ?? 0),
      egressBytes: now.egressBytes + (usage.egressBytes ?? 0),
      ingressBytes: now.ingressBytes + (usage.ingressBytes ?? 0),
    });
  }
  return counted;
}
