import { resolve } from "node:path";
import { systemClock, type UsageCounter } from "@usage/counter-core";
import { FlushError } from "@usage/tracker";
import { compose } from "./compose.ts";
import { type Address, formatAddress } from "./config/address.ts";
import type { ProxyConfig } from "./config/proxy-config.ts";
import { loadConfig } from "./config/read-config.ts";
import { accessLog } from "./log/access-log.ts";
import { BackendWatch } from "./log/backend-watch.ts";
import { describeConfig, summarizeConfig } from "./log/describe-config.ts";
import { logFlushes } from "./log/flush-log.ts";
import { grantLog } from "./log/grant-log.ts";
import { createLogger, type Log } from "./log/logger.ts";
import { messageOf } from "./log/message-of.ts";
import { redisLog } from "./log/redis-log.ts";
import { settingLog } from "./log/setting-log.ts";
import { formatUsage, unstoredUsage } from "./log/unstored.ts";
import { packageVersion } from "./log/version.ts";
import { webhookErrorLog, webhookLog } from "./log/webhook-log.ts";
import { HELP, readCommandLine } from "./process/command-line.ts";
import { loggedChange } from "./process/config-change.ts";
import { reloadOnChange } from "./process/reload.ts";
import { onSignal } from "./process/signals.ts";
import { fingerprintOf } from "./process/watch-config.ts";
import type { ProxyApp } from "./proxy-app.ts";

// Whoever reads the output may leave; that must not end a proxy whose counts are not stored yet.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
await main();

async function main(): Promise<void> {
  const command = readCommandLine(process.argv.slice(2));
  switch (command.kind) {
    case "help":
      return void process.stdout.write(HELP);
    case "version":
      return void process.stdout.write(`${title(versions())}\n`);
    case "wrong":
      process.stderr.write(`${command.message}\n\n${HELP}`);
      process.exitCode = 2;
      return;
    default:
      await withConfig(command.kind, command.file);
  }
}

async function withConfig(kind: "run" | "check", file: string): Promise<void> {
  try {
    // A package manager changes to the package's folder, and says in INIT_CWD where the user stands.
    const folder = process.env.INIT_CWD ?? process.cwd();
    const load = (): Promise<ProxyConfig> => loadConfig(file, folder, process.env);
    if (kind === "run") await run(resolve(folder, file), load);
    else process.stdout.write(`${file}: valid: ${summarizeConfig(await load())}\n`);
  } catch (error) {
    fail(messageOf(error));
  }
}

async function run(file: string, load: () => Promise<ProxyConfig>): Promise<void> {
  // Before it is read, so that no change is missed.
  const read = await fingerprintOf(file);
  const config = await load();
  const log = createLogger({
    level: config.log.level,
    out: process.stdout,
    err: process.stderr,
    colors: wantsColors(),
  });
  log.info(
    { event: "start", ...versions(), config: describeConfig(config) },
    `${title(versions())}: ${summarizeConfig(config)}`,
  );
  const app = await compose(config, {
    onRedis: redisLog(log),
    onGrant: grantLog(log),
    onSetting: settingLog(log),
    onComplaint: (complaint) => log.warn({ event: "config-complaint" }, complaint),
    onWebhook: webhookLog(log),
    onWebhookError: webhookErrorLog(log),
    ...(config.log.access && { accessLog: accessLog(log) }),
  });
  logFlushes(log, app.tracker);
  const stopped = onSignal((signal) => {
    const { drainDelayMs, graceMs } = app.live.config.shutdown;
    // Who presses Ctrl-C has no load balancer that is still to be told.
    const times = { graceMs, drainDelayMs: signal === "SIGTERM" ? drainDelayMs : 0 };
    log.info({ event: "stopping", signal, ...times, inFlight: app.inFlight() }, `${signal}: ${announce(times)}`);
    return stop(app, log, times);
  });
  // Before anybody is told that it runs: a SIGHUP that nobody listens to ends the process.
  const endReloads = reloadOnChange({
    file,
    read,
    load,
    live: app.live,
    log: (line, change) => log.info({ event: "config", ...loggedChange(change) }, line),
    warn: (line) => log.warn({ event: "config-refused" }, line),
  });
  const { proxy, admin } = await app.start();
  const [proxyUrl, adminUrl] = [originOf(config, proxy), originOf(config.admin, admin)];
  const places = `proxy ${proxyUrl} (routing: ${config.routing}), dashboard and API ${adminUrl}`;
  log.info({ event: "listening", proxy: proxyUrl, admin: adminUrl }, places);
  const watch = new BackendWatch({ router: app.router, tracker: app.tracker, clock: systemClock, log });
  watch.start();
  await stopped;
  watch.stop();
  endReloads();
}

function originOf({ tls }: Pick<ProxyConfig, "tls">, address: Address): string {
  return `${tls ? "https" : "http"}://${formatAddress(address)}`;
}

function announce({ drainDelayMs, graceMs }: ProxyConfig["shutdown"]): string {
  const delay = drainDelayMs > 0 ? `not ready; requests are taken for ${drainDelayMs / 1_000} s more, then ` : "";
  return `${delay}no new requests; waiting up to ${graceMs / 1_000} s for running ones`;
}

async function stop(app: ProxyApp, log: Log, times: ProxyConfig["shutdown"]): Promise<void> {
  const { cut, flushError, clientFlushError } = await app.stop(times);
  if (cut > 0) log.warn({ event: "cut", requests: cut }, `requests that were still running and were cut: ${cut}`);
  const errors = [flushError, clientFlushError].filter((error) => error !== undefined);
  if (errors.length === 0) return log.info({ event: "stopped", stored: true }, "everything is stored");
  process.exitCode = 1;
  const error = errors.map(messageOf).join("; ");
  log.error({ event: "stopped", stored: false, error }, error);
  logUnstored(log, "backend", flushError, [app.tracker.counter]);
  logUnstored(log, "client", clientFlushError, app.clientUsage.counters());
}

function logUnstored(log: Log, whose: "backend" | "client", error: unknown, counters: readonly UsageCounter[]): void {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const tallies = errors.flatMap((one) => (one instanceof FlushError ? one.unstored : []));
  for (const { period, backend, usage } of unstoredUsage(tallies, ...counters)) {
    const words = `not stored${whose === "client" ? " of a client" : ""}: ${formatUsage({ period, backend, usage })}`;
    log.error({ event: "unstored", period, [whose]: backend, usage }, words);
  }
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}

function versions(): { readonly version: string; readonly node: string } {
  return { version: packageVersion(), node: process.version };
}

function title({ version, node }: { readonly version: string; readonly node: string }): string {
  return `usage proxy ${version} on Node ${node}`;
}

function wantsColors(): boolean {
  return !process.env.NO_COLOR;
}
