import { setTimeout as sleep } from "node:timers/promises";
import type { Usage } from "@usage/counter-core";
import { Book } from "../fleet/book.ts";
import { limitAfter } from "./configuration.ts";
import type { ProxyProcess } from "./proxy-process.ts";
import type { Stage } from "./stage.ts";
import { isSame, sumOf } from "./usage-sums.ts";

const SOON_MS = 30_000;

export interface Closing {
  /** What should be equal, by who says so. */
  readonly accounts: ReadonlyMap<string, Usage>;
  /** In which something is stored. */
  readonly months: readonly string[];
  /** How often a proxy was without Redis for a moment: a busy machine can make a reply late, and no amount depends on it. */
  readonly redisAway: number;
  readonly problems: readonly string[];
}

/** When the load has ended: lets the proxies exchange and store all, compares what everybody saw, and ends the proxies in order. */
export async function close({ proxies, upstreams, stored }: Stage, clients: Usage, reloads: number): Promise<Closing> {
  const problems: string[] = [];
  const counted = (): Promise<readonly Usage[]> => Promise.all(proxies.map((proxy) => countedBy(proxy, stored)));
  const isDone = async (): Promise<boolean> =>
    (await Promise.all(proxies.map((proxy) => hasTaken(proxy, reloads)))).every(Boolean) &&
    (await counted()).every((usage) => isSame(usage, clients));
  for (const deadline = Date.now() + SOON_MS; Date.now() < deadline && !(await isDone()); ) await sleep(50);
  const byProxy = await counted();
  for (const proxy of proxies) await proxy.flush();
  const flushed = await stored.totals();

  const measured = new Book();
  for (const [name, upstream] of upstreams) measured.add("", name, { ...upstream.measured() });
  // An upstream does not know in which month a request is counted.
  const ofAllMonths = Book.of(flushed.entries().map(([, ...rest]) => ["", ...rest] as const));
  if (JSON.stringify(measured.entries()) !== JSON.stringify(ofAllMonths.entries())) {
    problems.push("the database does not hold of each backend what its upstream measured");
  }
  for (const [i, proxy] of proxies.entries()) {
    if (!(await hasTaken(proxy, reloads))) problems.push(`proxy ${i + 1} has not taken the last configuration over`);
    problems.push(...proxy.complaints());
    const { code, signal } = await proxy.stop();
    if (code !== 0) problems.push(`proxy ${i + 1} ended by ${signal ?? `code ${code}`}`);
  }
  const accounts = new Map<string, Usage>([
    ["clients", clients],
    ["upstreams", sumOf([...upstreams.values()].map((upstream) => upstream.measured()))],
    ...byProxy.map((usage, i) => [`proxy ${i + 1}`, usage] as const),
    ["database after a flush", sumOf([flushed.byDimension()])],
    ["database at the end", sumOf([(await stored.totals()).byDimension()])],
  ]);
  for (const [who, usage] of accounts) {
    if (!isSame(usage, clients))
      problems.push(`${who} saw ${JSON.stringify(usage)}, the clients ${JSON.stringify(clients)}`);
  }
  const redisAway = proxies.reduce((sum, proxy) => sum + proxy.logged("redis-away"), 0);
  const months = [...new Set(flushed.entries().map(([period]) => period))];
  return { accounts, months, redisAway, problems };
}

/** Of its month and, as stored, of those that are over. */
async function countedBy(proxy: ProxyProcess, stored: Stage["stored"]): Promise<Usage> {
  const { period, backends } = await proxy.usage();
  const over = (await stored.totals()).entries().filter(([key]) => key !== period.key);
  return sumOf([...backends.map(({ usage }) => usage), Book.of(over).byDimension()]);
}

/** Two that follow one another within a second may be one to a proxy: the last one is what counts. */
async function hasTaken(proxy: ProxyProcess, reloads: number): Promise<boolean> {
  const { backends } = await proxy.usage();
  return backends.some(({ limits }) => limits.apiRequests === limitAfter(reloads));
}
