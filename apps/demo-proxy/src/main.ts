import { parseArgs } from "node:util";
import { FlushError } from "@usage/tracker";
import { formatAddress } from "./address.ts";
import { compose } from "./compose.ts";
import { loadConfig, type ProxyConfig } from "./config.ts";
import { logFlushes } from "./flush-log.ts";
import { describeStore } from "./open-store.ts";
import type { ProxyApp } from "./proxy-app.ts";
import { onSignal } from "./signals.ts";
import { formatUsage, unstoredUsage } from "./unstored.ts";

const HELP = `Usage: start --config FILE

Runs the proxy on a YAML file, until SIGTERM or SIGINT: then it takes no more
requests, lets running ones end (10 s), stores what is counted, and exits.

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
    const config = await loadConfig(file, process.env.INIT_CWD ?? process.cwd());
    await run(config);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
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

async function run(config: ProxyConfig): Promise<void> {
  const app = await compose(config);
  logFlushes((line) => console.error(line));
  const stopped = onSignal((signal) => {
    console.log(`${signal}: no new requests; waiting up to ${GRACE_MS / 1_000} s for running ones`);
    return stop(app);
  });
  const { proxy, admin } = await app.start();
  for (const { name, url } of config.backends) console.log(`backend ${JSON.stringify(name)} ${url.href}`);
  console.log(`store ${describeStore(config.store)}, flushed every ${config.flush.intervalMs} ms`);
  console.log(`admin http://${formatAddress(admin)}/api/usage`);
  console.log(`proxy http://${formatAddress(proxy)} (routing: ${config.routing})`);
  await stopped;
}

async function stop(app: ProxyApp): Promise<void> {
  const { cut, flushError } = await app.stop({ graceMs: GRACE_MS });
  if (cut > 0) console.error(`${cut} requests were still running and were cut`);
  if (flushError === undefined) return console.log("everything is stored");
  fail(flushError instanceof Error ? flushError.message : String(flushError));
  if (!(flushError instanceof FlushError)) return;
  for (const usage of unstoredUsage(flushError.remaining, app.tracker.backend)) {
    console.error(`not stored: ${formatUsage(usage)}`);
  }
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}
