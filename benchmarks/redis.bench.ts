import { startRedis } from "@usage/test-servers";
import { answer, runChild } from "./child.ts";
import { compareRequests, type RequestTimes } from "./redis/compare-requests.ts";
import type { WritersUse } from "./redis/measure-memory.ts";
import type { RestUse } from "./redis/measure-rest.ts";
import type { ChangeTimes } from "./redis/time-changes.ts";
import type { PushAndPeerTimes, PushTimes, PushWay } from "./redis/time-pushes.ts";
import type { Outage, RecoveryTimes } from "./redis/time-recovery.ts";
import type { Row, Section, Table, Target } from "./report.ts";
import { IS_SHORT, pooled, processesOf, ratios } from "./rounds.ts";

const METHOD = [
  `A real server on this machine, so that the way to it takes next to no time: that favours everything that waits for it. Three
dimensions; a counter's options and the clients' are the defaults and \`recommendedClientOptions\`.`,
  `Request path: 16 backends in turn, limited in every dimension, a fresh object each call, which is kept for a while; 4,000,000
calls a sample, 21 rounds in three sets of processes, one process for each subject. Every millisecond the event loop has its
turn, and every backend is counted once: what the counter pushes meanwhile, and what that takes, is in the time.`,
  `A *request* is a \`withinLimits\` and a \`record\`. *rate-limiter-flexible* is \`RateLimiterRedis.consume\` of three keys at once,
all awaited. *Pipelines* are one of three \`GET\` to check, awaited, then one of three \`INCRBY\` and three \`EXPIRE\`, awaited: what a
program without a counter of its own would send. 500 requests a sample one after the other, 5,000 with 100 in flight.`,
  `All at once: 10,000 backends are counted in one turn of the event loop; the time is until \`unpushedAll\` is zero for all, the
wait for the next round (up to 25 ms) included. *Pipelines* send three \`INCRBY\` and three \`EXPIRE\` a backend, 100 backends in each, one awaited
after the other; they learn the totals, and are not safe to repeat. The event loop's longest hold is measured as for the flush.`,
  `A merge: the same, from the first command to the last reply. CPU time is \`process.cpuUsage\` and \`used_cpu_sys\` and \`used_cpu_user\` of the
server, all that is done meanwhile included.`,
  `Memory is \`used_memory\` less that of the empty server, per backend, of 1,000. Each restart of an instance is another writer, until
the period's keys expire.`,
  `At rest: two instances, of which each has counted all of the backends, count nothing for seven intervals of two seconds; for each
of the two. *A timer* is a process that does nothing but fire one every 25 ms.`,
  `100,000 backends, two instances in one process: a change at a random moment, until the other one's total has it, looked at every
millisecond; all of them counted in one turn, until all is shared; and an instance that holds none connects.`,
  `Recovery: eight counters in one process, each with its own connection, each counting all of 16 backends every 5 ms. Redis is away
for ten to twelve seconds (so that it comes back at other points of the instances' intervals), and the time is from its return
until each of the eight knows everything that all had counted by then. A client waits up to 2 s between two attempts to connect, a
counter 1 s between two probes. At the end, every total is exact, or the benchmark fails.`,
];

const VERY_MANY = IS_SHORT ? 20_000 : 100_000;
const MANY = IS_SHORT ? 2_000 : 10_000;
const FEW = 16;
const PROCESS_SETS = processesOf(3);
/** Of writers: an instance, a few, a month of deployments, and so many that Redis stores a hash in another way. */
const WRITERS = [1, 8, 40, 100];

const server = await startRedis();
try {
  const requests = await requestTimes();
  const pushes = await pushTimes("beside", MANY);
  const tables = [
    callTable(requests),
    requestTable(requests),
    burstTable(pushes),
    mergeTable({
      "many calls in flight": pushes.push,
      "one call after the other": (await pushTimes("serial", MANY)).push,
    }),
    await memoryTable(),
    await restTable(),
    await changesTable(),
    await recoveryTable(),
  ];
  answer({ title: "Redis", method: [...METHOD, `Server: ${server.version}.`], tables } satisfies Section);
} finally {
  await server.stop();
}

/** Several sets of processes, since some of what V8 decides differs from run to run. */
async function requestTimes(): Promise<RequestTimes> {
  const sets: RequestTimes[] = [];
  for (let set = 0; set < PROCESS_SETS; set++) sets.push(await compareRequests(server.url));
  return pooled(sets);
}

function pushTimes(way: PushWay, backends: number): Promise<PushAndPeerTimes> {
  const args = [server.url, way, String(backends)];
  return runChild<PushAndPeerTimes>("redis/time-pushes.ts", { args, node: ["--expose-gc"] });
}

function callTable({ recordLocal, recordRedis, checkLocal, checkRedis }: RequestTimes): Table {
  const target: Target = { of: "ratio", bound: "at most", value: 1.4 };
  const local = (subject: string, values: readonly number[]): Row => ({ subject, unit: "ns", values });
  const redis = (subject: string, values: readonly number[], peers: readonly number[]): Row => ({
    subject,
    unit: "ns",
    values,
    ratio: { to: "local", values: ratios(values, peers) },
    target,
  });
  return {
    title: "Request path, beside the local counter",
    rows: [
      local("`record`, local counter", recordLocal),
      redis("`record`, Redis connected", recordRedis, recordLocal),
      local("`withinLimits`, local counter", checkLocal),
      redis("`withinLimits`, Redis connected", checkRedis, checkLocal),
    ],
  };
}

function requestTable(times: RequestTimes): Table {
  const request = times.recordRedis.map((ns, round) => ns + (times.checkRedis[round] ?? Number.NaN));
  const target: Target = { of: "ratio", bound: "at least", value: 300 };
  const peer = (subject: string, values: readonly number[]): Row => ({
    subject,
    unit: "us",
    values: values.map((ns) => ns / 1e3),
    ratio: { to: "ours", values: ratios(values, request) },
    target,
  });
  return {
    title: "A request, beside asking Redis",
    rows: [
      { subject: "ours: `withinLimits` and `record`", unit: "ns", values: request },
      peer("rate-limiter-flexible, three numbers", times.limiter),
      peer("pipelines", times.pipelines),
      peer("rate-limiter-flexible, 100 in flight", times.limiterInFlight),
      peer("pipelines, 100 in flight", times.pipelinesInFlight),
    ],
  };
}

function burstTable({ push, peer }: PushAndPeerTimes): Table {
  return {
    title: "10,000 backends change at once",
    rows: [
      {
        subject: "all pushed",
        unit: "ms",
        values: push.tookMs,
        target: { of: "value", bound: "at most", value: 500 },
      },
      {
        subject: "event loop held",
        unit: "ms",
        values: push.heldMs,
        target: { of: "value", bound: "at most", value: 20 },
      },
      {
        subject: "pipelines",
        unit: "ms",
        values: peer.tookMs,
        ratio: { to: "ours", values: ratios(peer.tookMs, push.tookMs) },
      },
      { subject: "pipelines, event loop held", unit: "ms", values: peer.heldMs },
    ],
  };
}

function mergeTable(ways: Readonly<Record<string, PushTimes>>): Table {
  const rows = Object.entries(ways).flatMap(([way, { exchangeUs, cpuUs, serverCpuUs, bytesIn, bytesOut }]): Row[] => [
    { subject: `${way}: time`, unit: "us", values: exchangeUs },
    { subject: `${way}: CPU, ours`, unit: "us", values: cpuUs },
    { subject: `${way}: CPU, Redis`, unit: "us", values: serverCpuUs },
    { subject: `${way}: to Redis`, unit: "bytes", values: bytesIn },
    { subject: `${way}: from Redis`, unit: "bytes", values: bytesOut },
  ]);
  return { title: "A merge, per backend", rows };
}

async function memoryTable(): Promise<Table> {
  const args = [server.url, "1000", ...WRITERS.map(String)];
  const uses = await runChild<WritersUse[]>("redis/measure-memory.ts", { args });
  const alone = uses.find(({ writers }) => writers === 1)?.memory ?? Number.NaN;
  const rows = uses.flatMap(({ writers, memory, mergeUs }): Row[] => {
    const by = writers === 1 ? "1 writer" : `${writers} writers`;
    const perWriter: Row = {
      subject: `${by}: memory, each after the first`,
      unit: "bytes",
      values: [(memory - alone) / (writers - 1)],
    };
    return [
      { subject: `${by}: memory`, unit: "bytes", values: [memory] },
      ...(writers === 1 ? [] : [perWriter]),
      { subject: `${by}: CPU of a merge, Redis`, unit: "us", values: mergeUs },
    ];
  });
  return { title: "A backend in Redis, by the writers that counted it", rows };
}

async function restTable(): Promise<Table> {
  const rows: Row[] = [];
  for (const backends of [0, FEW, MANY, VERY_MANY]) {
    const args = [server.url, String(backends)];
    const { commands, cpuMs, serverCpuMs } = await runChild<RestUse>("redis/measure-rest.ts", { args });
    const what = backends === 0 ? "a timer" : `${backends.toLocaleString("en-US")} backends`;
    if (backends > 0) rows.push({ subject: `${what}: commands`, unit: "/s", values: commands });
    const target: Partial<Row> = backends === VERY_MANY ? { target: { of: "value", bound: "at most", value: 20 } } : {};
    rows.push({ subject: `${what}: CPU, ours`, unit: "ms/s", values: cpuMs, ...target });
    rows.push({ subject: `${what}: CPU, Redis`, unit: "ms/s", values: serverCpuMs, ...target });
  }
  return { title: "At rest", rows };
}

async function changesTable(): Promise<Table> {
  const args = [server.url, String(VERY_MANY)];
  const times = await runChild<ChangeTimes>("redis/time-changes.ts", { args });
  const none = await runChild<ChangeTimes>("redis/time-changes.ts", { args: [server.url, "100"] });
  const row = (subject: string, values: readonly number[], value?: number): Row => ({
    subject,
    unit: "ms",
    values,
    ...(value !== undefined && { target: { of: "value", bound: "at most", value } }),
  });
  return {
    title: `${VERY_MANY.toLocaleString("en-US")} backends, two instances`,
    rows: [
      row("a change is known elsewhere", times.seenMs, 100),
      row("all at once: shared", times.sharedMs, 4_000),
      row("all at once: event loop held", times.heldMs, 20),
      row("start, where there are 100", none.startMs),
      row("start, where there are all", times.startMs),
    ],
  };
}

async function recoveryTable(): Promise<Table> {
  const outages: Readonly<Record<Outage, string>> = {
    hangs: "Redis hung, and goes on",
    dies: "Redis died, and begins again empty",
  };
  const rows = Object.entries(outages).map(async ([outage, subject]): Promise<Row> => {
    const { agreedMs } = await runChild<RecoveryTimes>("redis/time-recovery.ts", { args: [outage] });
    return { subject, unit: "ms", values: agreedMs };
  });
  // Side by side: nearly all of the time is spent waiting.
  return { title: "Until eight instances agree again", rows: await Promise.all(rows) };
}
