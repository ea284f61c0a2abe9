import { randomBytes } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Period, systemClock, utcMonths } from "@usage/counter-core";
import { type RedisServer, redisAtHand, startRedis } from "@usage/test-servers";
import type { ThresholdEvent } from "@usage/tracker";
import { stringify } from "yaml";
import { formatBytes } from "../src/config/bytes.ts";
import type { DemoOptions } from "./command-line.ts";
import { writeHistory } from "./history.ts";
import type { Journal } from "./journal.ts";
import { portOrAnother } from "./ports.ts";
import { ProxyProcess } from "./proxy-process.ts";
import { Receiver } from "./receiver.ts";
import { PROXY_HEADER, SampleUpstream } from "./sample-upstream.ts";
import { CLIENTS, type Scenario, scenarioOf } from "./scenario.ts";

/** A proxy of the two, which may be killed and started again. */
export interface Role {
  readonly name: "one" | "two";
  process: ProxyProcess | undefined;
}

/** Everything that the story is about. */
export interface Stage {
  readonly folder: string;
  readonly file: string;
  readonly scenario: Scenario;
  readonly firstPeriod: Period;
  readonly upstreams: ReadonlyMap<string, SampleUpstream>;
  readonly receiver: Receiver;
  /** The keys of the clients, by name. */
  readonly keys: ReadonlyMap<string, string>;
  readonly redis: RedisServer | undefined;
  /** It is never killed: what it says is shown. */
  readonly one: ProxyProcess;
  readonly roles: readonly [Role, Role];
  /** Starts the proxy of a role, at the place where it was. */
  start(role: Role): Promise<ProxyProcess>;
}

const HOST = "127.0.0.1";
/** Of the proxy and of its admin listener, if they are free. */
export const PORTS = { one: [8080, 8081], two: [8090, 8091] } as const;

/** Opens all of it, and hands each part to `opened`, which closes it. Throws as soon as `signal` is aborted. */
export async function openStage(
  { seconds, redis: wantsRedis }: DemoOptions,
  { journal, signal, opened }: { journal: Journal; signal: AbortSignal; opened: AsyncDisposableStack },
): Promise<Stage> {
  const scenario = scenarioOf(seconds);
  const folder = await mkdtemp(join(tmpdir(), "usage-demo-"));
  const file = join(folder, "usage.db");
  const nowMs = systemClock.now();
  await writeHistory(file, scenario.tiers, nowMs);
  const upstreams = new Map<string, SampleUpstream>();
  for (const { name } of scenario.tiers) {
    upstreams.set(
      name,
      opened.adopt(await SampleUpstream.start(), (upstream) => upstream.close()),
    );
  }
  const receiver = opened.adopt(await Receiver.start((event) => journal.delivered(sentence(event))), (receiver) =>
    receiver.close(),
  );
  const keys = new Map(CLIENTS.map((client) => [client, randomBytes(16).toString("hex")]));
  signal.throwIfAborted();
  const redis = wantsRedis && redisAtHand() ? opened.adopt(await startOwnRedis(), (redis) => redis.stop()) : undefined;
  const roles: Stage["roles"] = [
    { name: "one", process: undefined },
    { name: "two", process: undefined },
  ];
  for (const role of roles) {
    const [port, adminPort] = await Promise.all(PORTS[role.name].map(portOrAnother));
    const config = { port, adminPort, name: role.name, file, scenario, upstreams, receiver, keys, redis };
    await writeFile(join(folder, `${role.name}.yaml`), configOf(config), { mode: 0o600 });
    opened.defer(() => role.process?.kill());
  }
  const start = async (role: Role): Promise<ProxyProcess> => {
    role.process = await ProxyProcess.start({ name: role.name, folder, signal });
    return role.process;
  };
  const [one] = await Promise.all(roles.map(start));
  if (one === undefined) throw new Error("there is no proxy");
  return {
    folder,
    file,
    scenario,
    firstPeriod: utcMonths.at(nowMs),
    upstreams,
    receiver,
    keys,
    redis,
    one,
    roles,
    start,
  };
}

async function startOwnRedis(): Promise<RedisServer> {
  try {
    return await startRedis();
  } catch (cause) {
    throw new Error(`The Redis that is installed does not start; with --no-redis the demo does without. ${cause}`, {
      cause,
    });
  }
}

interface ConfigParts extends Pick<Stage, "file" | "scenario" | "upstreams" | "receiver" | "keys" | "redis"> {
  readonly name: string;
  readonly port: number | undefined;
  readonly adminPort: number | undefined;
}

function configOf({ name, port, adminPort, file, scenario, upstreams, receiver, keys, redis }: ConfigParts): string {
  const { tiers, plan, flushMs } = scenario;
  return stringify({
    listen: `${HOST}:${port}`,
    admin: { listen: `${HOST}:${adminPort}` },
    counter: redis ? { kind: "redis", url: redis.url } : { kind: "local" },
    store: { kind: "sqlite", file },
    flush: { intervalMs: flushMs, nearLimitIntervalMs: flushMs },
    routing: "pack",
    plans: { small: { month: plan } },
    clients: [...keys].map(([client, key]) => ({ name: client, key, ...(client === "jobs" && { plan: "small" }) })),
    webhooks: [{ name: "receiver", url: receiver.url.href, secret: receiver.secret }],
    backends: tiers.map(({ name: backend, limits }) => {
      return {
        name: backend,
        url: upstreams.get(backend)?.url.href,
        headers: { set: { [PROXY_HEADER]: name } },
        limits,
      };
    }),
  });
}

const WHAT: Readonly<Record<string, string>> = {
  apiRequests: "requests",
  egressBytes: "egress",
  ingressBytes: "ingress",
};

function sentence(event: ThresholdEvent | null): string {
  if (event === null) return "a delivery with a wrong signature was refused";
  const { backend, dimension, threshold, usage, limit } = event;
  const amount = (value: number): string =>
    dimension.endsWith("Bytes") ? formatBytes(value) : value.toLocaleString("en");
  const part = `${Math.round(threshold * 100)} % of its ${WHAT[dimension] ?? dimension}`;
  return `${backend} has used ${part}: ${amount(usage)} of ${amount(limit)}`;
}
