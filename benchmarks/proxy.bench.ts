import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startNginx } from "@usage/test-servers";
import { answer, Child } from "./child.ts";
import type { Load, LoadResult } from "./proxy/load.ts";
import type { CpuUsed, Serving } from "./proxy/serve.ts";
import type { Row, Section, Table, Target } from "./report.ts";
import { interleave, ratios, roundsOf } from "./rounds.ts";

const METHOD = [
  `GETs of one file through each proxy from one nginx, one process each: nginx, the three proxies, the load. *Bare* is
\`node:http\` piped to \`undici\`'s \`Pool#dispatch\`, with back-pressure; it does nothing else. *Ours* is the demo proxy's data path:
routing, limits in three dimensions, reservation, counting, \`Via\` and \`X-Forwarded-*\`, time-outs. *@fastify/http-proxy* is set
up as its README says, without a logger.`,
  `The load is one request at a time on each of the connections, which live for a round, from one Node process on bare sockets;
it checks each response's status and length. All processes share the machine's cores, so throughput also depends on what the
load and nginx need; *CPU* is the time that the proxy's own process used for a request, which does not. *Load generator* is the
CPU time that the generator used per request, through all three: where it comes near the proxies' own, it was the bottleneck
as much as they were.`,
  `Where the bare pipe itself is less than 1.8x of @fastify/http-proxy, as it was in the last run (1.75x), no proxy that does more can be.`,
];

interface Size {
  readonly title: string;
  readonly file: string;
  readonly bodyBytes: number;
  readonly connections: number;
  readonly fastifyTarget?: Target;
}

const SIZES: readonly Size[] = [
  {
    title: "1 KiB responses, 32 connections",
    file: "1k",
    bodyBytes: 2 ** 10,
    connections: 32,
    fastifyTarget: { of: "ratio", bound: "at least", value: 1.8 },
  },
  { title: "1 MiB responses, 8 connections", file: "1m", bodyBytes: 2 ** 20, connections: 8 },
];
const PROXIES = ["usage", "bare", "fastify"] as const;
const SCRIPTS = { usage: "proxy/usage-proxy.ts", bare: "proxy/bare-pipe.ts", fastify: "proxy/fastify-proxy.ts" };
const ROUNDS = roundsOf({ rounds: 9, warmups: 2 });
const LOAD_MS = 1_200;

type ProxyName = (typeof PROXIES)[number];
type PerProxy<T> = Readonly<Record<ProxyName, T>>;

interface Measured {
  readonly perSecond: PerProxy<number[]>;
  /** Microseconds of the proxy's process per request. */
  readonly cpuUs: PerProxy<number[]>;
  readonly loadCpuUs: number[];
}

const nginx = await startNginx({ config: "access_log off; keepalive_requests 1000000000;" });
const children: Child[] = [];
try {
  for (const { file, bodyBytes } of SIZES) await writeFile(join(nginx.folder, file), Buffer.alloc(bodyBytes, "usage"));
  const tables: Table[] = [];
  for (const size of SIZES) tables.push(table(size, await measure(size)));
  answer({ title: "Proxy", method: METHOD, tables } satisfies Section);
} finally {
  await Promise.all(children.map((child) => child.stop()));
  await nginx.stop();
}

/** In processes that have done nothing else: V8's view of 1 MiB bodies is not that of small ones. */
async function measure(size: Size): Promise<Measured> {
  const load = start("proxy/load.ts");
  const measured: Measured = {
    perSecond: { usage: [], bare: [], fastify: [] },
    cpuUs: { usage: [], bare: [], fastify: [] },
    loadCpuUs: [],
  };
  const samples = {
    usage: await sampler("usage", size, load, measured),
    bare: await sampler("bare", size, load, measured),
    fastify: await sampler("fastify", size, load, measured),
  };
  await interleave(samples, ROUNDS);
  for (const values of [...Object.values(measured.perSecond), ...Object.values(measured.cpuUs)]) {
    values.splice(0, ROUNDS.warmups);
  }
  return measured;
}

async function sampler(name: ProxyName, size: Size, load: Child, into: Measured): Promise<() => Promise<number>> {
  const server = start(SCRIPTS[name], [`http://127.0.0.1:${nginx.port}`]);
  const { port } = await server.ask<Serving>();
  const { file, bodyBytes, connections } = size;
  const ask: Load = { port, path: `/${file}`, connections, bodyBytes, durationMs: LOAD_MS };
  return async () => {
    const before = await server.ask<CpuUsed>({ ask: "cpu" });
    const { requests, seconds, cpuUs } = await load.ask<LoadResult>(ask);
    const after = await server.ask<CpuUsed>({ ask: "cpu" });
    into.perSecond[name].push(requests / seconds);
    into.cpuUs[name].push((after.cpuUs - before.cpuUs) / requests);
    into.loadCpuUs.push(cpuUs / requests);
    return requests / seconds;
  };
}

function start(script: string, args: readonly string[] = []): Child {
  const child = new Child(script, { args });
  children.push(child);
  return child;
}

function table({ title, fastifyTarget }: Size, { perSecond, cpuUs, loadCpuUs }: Measured): Table {
  const throughput = (subject: string, peer: "bare" | "fastify", target?: Target): Row => ({
    subject,
    unit: "requests/s",
    values: perSecond.usage,
    ratio: { to: peer, values: ratios(perSecond.usage, perSecond[peer]) },
    ...(target && { target }),
  });
  const cpu = (subject: string, name: ProxyName): Row => ({
    subject,
    unit: "us",
    values: cpuUs[name],
    ratio: { to: "ours", values: ratios(cpuUs[name], cpuUs.usage) },
  });
  return {
    title,
    rows: [
      { subject: "bare pipe", unit: "requests/s", values: perSecond.bare },
      { subject: "@fastify/http-proxy", unit: "requests/s", values: perSecond.fastify },
      throughput("ours, beside the bare pipe", "bare", { of: "ratio", bound: "at least", value: 0.9 }),
      throughput("ours, beside @fastify/http-proxy", "fastify", fastifyTarget),
      { subject: "CPU per request, ours", unit: "us", values: cpuUs.usage },
      cpu("CPU per request, bare pipe", "bare"),
      cpu("CPU per request, @fastify/http-proxy", "fastify"),
      { subject: "CPU per request, load generator", unit: "us", values: loadCpuUs },
    ],
  };
}
