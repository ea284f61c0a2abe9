import { statSync } from "node:fs";
import { hasCredentials } from "../credentials/backend-credentials.ts";
import { formatAddress, isLoopback } from "./address.ts";
import { noPlan } from "./no-plan.ts";
import { absolutePath, type Place } from "./paths.ts";
import { PemFiles } from "./pem-files.ts";
import type {
  ClientLimits,
  PemFile,
  PlanTerms,
  ProxyConfig,
  RedisConfig,
  TlsConfig,
  TlsFiles,
} from "./proxy-config.ts";
import type { ConfigFile } from "./schema/config-file.ts";
import type { Path } from "./yaml-nodes.ts";

const SQLITE_INTERVAL_MS = 1_000;
const POSTGRES_INTERVAL_MS = 30_000;
const NEAR_LIMIT_INTERVAL_MS = 5_000;
const THRESHOLDS: readonly number[] = [0.5, 0.8, 1];

export type Clash = readonly [path: Path, message: string];

/** Fills in what depends on other settings or on where the proxy runs, and tells what contradicts others. */
export function complete(
  { tls, admin, counter, store, flush, thresholds, backends, plans, ...rest }: ConfigFile,
  place: Place,
): { readonly config: ProxyConfig; readonly clashes: readonly Clash[] } {
  // A flush to SQLite costs less than a millisecond; what a kill can lose is one interval.
  const intervalMs = flush.intervalMs ?? (store.kind === "sqlite" ? SQLITE_INTERVAL_MS : POSTGRES_INTERVAL_MS);
  const nearLimitIntervalMs = flush.nearLimitIntervalMs ?? Math.min(NEAR_LIMIT_INTERVAL_MS, intervalMs);
  const pem = new PemFiles(place);
  const clashes: Clash[] = [];
  const config: ProxyConfig = {
    ...rest,
    ...withListener(pem, [], tls ? { tls } : {}),
    admin: withListener(pem, ["admin"], admin),
    counter: counter.kind === "local" ? counter : withSocket(withTrust(pem, ["counter"], counter), place, clashes),
    store:
      store.kind === "sqlite"
        ? { kind: "sqlite", file: storeFile(store.file, place, clashes) }
        : withTrust(pem, ["store"], store),
    backends: backends.map((backend, index) => withTrust(pem, ["backends", index], backend)),
    flush: { ...flush, intervalMs, nearLimitIntervalMs },
    thresholds: thresholds ?? THRESHOLDS,
    ...(plans && plansOf(plans)),
  };
  return {
    config,
    clashes: [
      ...contradictions(config),
      ...unknownPlans(config),
      ...untold(config, thresholds),
      ...clashes,
      ...pem.problems,
    ],
  };
}

function withListener<S extends { readonly tls?: TlsFiles }>(
  pem: PemFiles,
  path: Path,
  { tls, ...others }: S,
): Omit<S, "tls"> & { readonly tls?: TlsConfig } {
  const found = tls && pem.listener([...path, "tls"], tls);
  return { ...others, ...(found && { tls: found }) };
}

/** Limits of plans may be others by API; what they say besides is the file's. */
function plansOf(sections: NonNullable<ConfigFile["plans"]>): Required<Pick<ProxyConfig, "plans" | "terms">> {
  const plans = new Map<string, ClientLimits>();
  const terms = new Map<string, PlanTerms>();
  for (const [name, { timeZone, anchorDay, thresholds, ...limits }] of sections) {
    plans.set(name, limits);
    terms.set(name, {
      ...(timeZone && { timeZone }),
      ...(anchorDay && { anchorDay }),
      ...(thresholds && { thresholds }),
    });
  }
  return { plans, terms };
}

/** With the certificates themselves in place of their file's path. */
function withTrust<S extends { readonly ca?: string }>(pem: PemFiles, path: Path, { ca, ...others }: S): Read<S> {
  const found = ca === undefined ? undefined : pem.authorities([...path, "ca"], ca);
  return { ...others, ...(found && { ca: found }) } as Read<S>;
}

type Read<S> = S extends unknown ? Omit<S, "ca"> & { readonly ca?: PemFile } : never;

function withSocket(counter: RedisConfig, place: Place, clashes: Clash[]): RedisConfig {
  if (!("socket" in counter)) return counter;
  try {
    return { ...counter, socket: absolutePath(counter.socket, place) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    clashes.push([["counter", "socket"], error.message]);
    return counter;
  }
}

function storeFile(file: string, place: Place, clashes: Clash[]): string {
  try {
    const path = absolutePath(file, place);
    assertMayBeFile(path);
    return path;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    clashes.push([["store", "file"], error.message]);
    return file;
  }
}

/** @throws RangeError where something else is that no file can take the place of. */
function assertMayBeFile(path: string): void {
  let found: ReturnType<typeof statSync>;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch {
    // What cannot be looked at here, the start tells.
    return;
  }
  if (found === undefined || found.isFile()) return;
  if (found.isDirectory()) throw new RangeError("is a folder; name the file in it, such as usage.db");
  throw new RangeError("is no file but a device, a socket or a pipe; name a file");
}

function contradictions({ listen, admin, flush, clients, backends }: ProxyConfig): readonly Clash[] {
  const clashes: Clash[] = [];
  const paid = backends.find(hasCredentials);
  // fault: lets whoever reaches it use the credentials of a provider
  if (paid !== undefined && clients === undefined && !isLoopback(listen.host)) {
    const message = `${formatAddress(listen)} can be reached from other machines, and whoever reaches it would use the credentials of ${paid.name}: set clients, or listen on 127.0.0.1`;
    clashes.push([["listen"], message]);
  }
  if (listen.port !== 0 && listen.port === admin.listen.port && listen.host === admin.listen.host) {
    clashes.push([["admin", "listen"], "is where the proxy itself listens; give it another port"]);
  }
  if (flush.nearLimitIntervalMs > flush.intervalMs) {
    const message = `is longer than intervalMs (${flush.intervalMs}); give at most as much`;
    clashes.push([["flush", "nearLimitIntervalMs"], message]);
  }
  return clashes;
}

/** A client with a plan that is not there would have no limits. */
function unknownPlans({ clients = [], plans = new Map() }: ProxyConfig): readonly Clash[] {
  return clients.flatMap(({ plan }, index): readonly Clash[] => {
    // fault: takes a client whose plan is unknown for one without limits
    if (plan === undefined || plans.has(plan)) return [];
    return [[["clients", index, "plan"], noPlan(plan, [...plans.keys()])]];
  });
}

/** Thresholds of which nobody would be told. */
function untold(
  { webhooks, backends, clients = [], terms = new Map() }: ProxyConfig,
  given: ConfigFile["thresholds"],
): readonly Clash[] {
  if (webhooks.length > 0) return [];
  const paths: readonly (Path | undefined)[] = [
    given && ["thresholds"],
    ...backends.map(({ thresholds }, index) => thresholds && ["backends", index, "thresholds"]),
    ...Array.from(terms, ([name, { thresholds }]) => thresholds && ["plans", name, "thresholds"]),
    ...clients.map(({ thresholds }, index) => thresholds && ["clients", index, "thresholds"]),
  ];
  return paths.flatMap((path) => (path === undefined ? [] : [[path, "nobody would be told; name them in webhooks"]]));
}
