import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "@usage/counter-core";
import { FlushError } from "@usage/tracker";
import { compose } from "./compose.ts";
import { formatAddress } from "./config/address.ts";
import type { ProxyConfig } from "./config/proxy-config.ts";
import { loadConfig } from "./config/read-config.ts";
import { accessLog } from "./log/access-log.ts";
import { BackendWatch } from "./log/backend-watch.ts";
import { describeConfig, summarizeConfig } from "./log/describe-config.ts";
import { logFlushes } from "./log/flush-log.ts";
import { createLogger, type Log } from "./log/logger.ts";
import { messageOf } from "./log/message-of.ts";
import { logRedis } from "./log/redis-log.ts";
import { formatUsage, unstoredUsage } from "./log/unstored.ts";
import { packageVersion } from "./log/version.ts";
import { reloadOnChange } from "./process/reload.ts";
import { onSignal } from "./process/signals.ts";
import { fingerprintOf } from "./process/watch-config.ts";
import type { ProxyApp } from "./proxy-app.ts";

const HELP = `Usage: start --config FILE

Runs the proxy on a YAML file, until SIGTERM or SIGINT: then it takes no more
requests, lets running ones end (10 s), stores what is counted, and exits.
Backends, limits, flush settings and routing are taken over whenever the file
changes, and on SIGHUP.

  --config FILE   the configuration, relative to where you are; so are paths in it
  --help          this text

Exit codes: 0 all is stored; 1 it could not start, or something is not stored
(stderr says what); 2 wrong usage; 130 and 143 a second signal ended it at once.
`;

const GRACE_MS = 10_000;

// Whoever reads the output may leave; that must not end a proxy whose counts are not stored yet.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
await main();

async function main(): Promise<void> {
  const file = configFile();
  if (file === undefined) return;
  try {
    // A package manager changes to the package's folder, and says in INIT_CWD where the user stands.
    const folder = process.env.INIT_CWD ?? process.cwd();
    const load = (): Promise<ProxyConfig> => loadConfig(file, folder);
    await run(resolve(folder, file), load);
  } catch (error) {
    fail(messageOf(error));
  }
}

/** The file to run on; undefined when there is nothing to run. */
function configFile(): string | undefined {
  try {
    const options = { config: { type: "string" }, help: { type: "boolean" } } as const;
    const { config, help } = parseArgs({ options }).values;
    if (help) process.stdout.write(HELP);
    else if (config === undefined || config === "") throw new TypeError("--config FILE is missing");
    else return config;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exitCode = 2;
  }
  return undefined;
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
  const versions = { version: packageVersion(), node: process.version };
  log.info(
    { event: "start", ...versions, config: describeConfig(config) },
    `${title(versions)}: ${summarizeConfig(config)}`,
  );
  logFlushes(log);
  logRedis(log);
  const app = await compose(config, config.log.access ? { accessLog: accessLog(log) } : {});
  const stopped = onSignal((signal) => {
    const waiting = `no new requests; waiting up to ${GRACE_MS / 1_000} s for running ones`;
    log.info({ event: "stopping", signal, inFlight: app.inFlight() }, `${signal}: ${waiting}`);
    return stop(app, log);
  });
  const { proxy, admin } = await app.start();
  const [proxyUrl, adminUrl] = [`http://${formatAddress(proxy)}`, `http://${formatAddress(admin)}`];
  const places = `proxy ${proxyUrl} (routing: ${config.routing}), dashboard and API ${adminUrl}`;
  log.info({ event: "listening", proxy: proxyUrl, admin: adminUrl }, places);
  const watch = new BackendWatch({ router: app.router, tracker: app.tracker, clock: systemClock, log });
  watch.start();
  const endReloads = reloadOnChange({
    file,
    read,
    load,
    live: app.live,
    log: (line, change) => log.info({ event: "config", ...change }, line),
    warn: (line) => log.warn({ event: "config-refused" }, line),
  });
  await stopped;
  watch.stop();
  endReloads();
}

async function stop(app: ProxyApp, log: Log): Promise<void> {
  const { cut, flushError } = await app.stop({ graceMs: GRACE_MS });
  if (cut > 0) log.warn({ event: "cut", requests: cut }, `${cut} requests were still running and were cut`);
  if (flushError === undefined) return log.info({ event: "stopped", stored: true }, "everything is stored");
  process.exitCode = 1;
  const error = messageOf(flushError);
  log.error({ event: "stopped", stored: false, error }, error);
  if (!(flushError instanceof FlushError)) return;
  for (const { period, backend, usage } of unstoredUsage(flushError.remaining, app.tracker.backend)) {
    const words = `not stored: ${formatUsage({ period, backend, usage })}`;
    log.error({ event: "not-stored", period, backend, usage }, words);
  }
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}

function title({ version, node }: { readonly version: string; readonly node: string }): string {
  return `usage proxy ${version} on Node ${node}`;
}

function wantsColors(): boolean {
  return !process.env.NO_COLOR;
}
