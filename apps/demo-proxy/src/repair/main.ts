import { parseArgs } from "node:util";
import { assertBackendName, type Period, systemClock, utcMonths } from "@usage/counter-core";
import type { ProxyConfig, RedisConfig } from "../config/proxy-config.ts";
import { loadConfig } from "../config/read-config.ts";
import { countedDimensions } from "../counting/dimensions.ts";
import { messageOf } from "../log/message-of.ts";
import { openCorrectableStore } from "./correctable-store.ts";
import { type Correction, repair } from "./repair.ts";
import { readWriterCounts, type SharedPlace, type WriterCounts } from "./writer-counts.ts";

const HELP = `Usage: usage-proxy-repair --config FILE --backend NAME [--period 2026-01]
                          [--writer W --dimension D --amount N] [--yes]
In a checkout of the repository, usage-proxy-repair is: npx -y pnpm@12 repair

Shows what each writer has of a backend in a month, in Redis and in the store, the
largest first. With --yes, and with every instance stopped: stores what Redis has of
it, sets the row of one writer and dimension to N, which removes it where N is 0,
and lets Redis forget that backend and month. The next start brings back what is
stored. Without --writer, --dimension and --amount only Redis forgets, which is
enough where only its sums are wrong.

  --config FILE   the proxy's configuration
  --period KEY    the month; this one, when it is not given
  --yes           does it; without it, nothing is changed
  --help          this text

Exit codes: 0 done, or shown; 1 refused or failed (stderr says why); 2 wrong usage.
`;

interface Request {
  readonly config: string;
  readonly backend: string;
  readonly period: Period;
  readonly correction: Correction | undefined;
  readonly yes: boolean;
}

await main();

async function main(): Promise<void> {
  const request = readArguments();
  if (request === undefined) return;
  try {
    // A package manager changes to the package's folder, and says in INIT_CWD where the user stands.
    await run(await loadConfig(request.config, process.env.INIT_CWD ?? process.cwd()), request);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

/** What to do; undefined when there is nothing to do. */
function readArguments(): Request | undefined {
  try {
    const text = { type: "string" } as const;
    const flag = { type: "boolean" } as const;
    const names = { config: text, backend: text, period: text, writer: text, dimension: text, amount: text };
    const { values } = parseArgs({ options: { ...names, yes: flag, help: flag } });
    if (values.help) {
      process.stdout.write(HELP);
      return undefined;
    }
    const { config = "", backend = "", period, yes = false } = values;
    if (config === "") throw new TypeError("--config FILE is missing");
    if (backend === "") throw new TypeError("--backend NAME is missing");
    assertBackendName(backend);
    return { config, backend, period: periodOf(period), correction: correctionOf(values), yes };
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}`);
    process.exitCode = 2;
    return undefined;
  }
}

function periodOf(key: string | undefined): Period {
  if (key === undefined) return utcMonths.at(Date.now());
  const startMs = Date.parse(`${key}-01T00:00:00Z`);
  const period = Number.isNaN(startMs) ? undefined : utcMonths.at(startMs);
  if (period?.key !== key) throw new RangeError(`--period must be a month such as 2026-01, got ${JSON.stringify(key)}`);
  return period;
}

function correctionOf({ writer, dimension, amount }: Readonly<Record<string, unknown>>): Correction | undefined {
  const given = [writer, dimension, amount].filter((value) => value !== undefined);
  if (given.length === 0) return undefined;
  if (typeof writer !== "string" || typeof dimension !== "string" || typeof amount !== "string") {
    throw new TypeError("--writer, --dimension and --amount belong together");
  }
  if (!/^\d{1,16}$/.test(amount) || !Number.isSafeInteger(Number(amount))) {
    throw new RangeError(`--amount must be a whole number from 0 to 2^53-1, got ${JSON.stringify(amount)}`);
  }
  return { writer, dimension, amount: Number(amount) };
}

async function run(config: ProxyConfig, { backend, period, correction, yes }: Request): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const { store, correct } = opened.adopt(await openCorrectableStore(config.store), ({ store }) => store.close());
  const { counter } = config;
  const shared = counter.kind === "redis" && (await openShared(config, counter, { period, backend }, opened));
  const places = { store, ...(shared && { shared }) };
  const show = (title: string, counts: WriterCounts): void => {
    process.stdout.write(`${backend} in ${period.key}, ${title}\n\n${tableOf(counts)}\n\n`);
  };
  show(yes ? "before" : "what each writer has", await readWriterCounts(places, period, backend));
  if (!yes) return void process.stdout.write("Nothing was changed. Stop every instance before you add --yes.\n");
  show("after", await repair({ ...places, period, backend, correction, correct }));
}

async function openShared(
  whole: ProxyConfig,
  { prefix, ...config }: RedisConfig,
  { period, backend }: Pick<Request, "period" | "backend">,
  opened: AsyncDisposableStack,
): Promise<SharedPlace> {
  // Imported only where it is configured: nobody else needs the client.
  const [{ bucketOf, RedisSharedCounts }, { BucketKeys }, { connectedRedis }] = await Promise.all([
    import("@usage/counter-redis"),
    import("@usage/counter-redis/internal"),
    import("./connected-redis.ts"),
  ]);
  const client = opened.adopt(await connectedRedis({ prefix, ...config }), (client) => client.disconnect());
  const dimensions = countedDimensions(whole);
  const counts = new RedisSharedCounts({ client, prefix, dimensions, clock: systemClock });
  const bucket = { period, number: bucketOf(backend) };
  const { epoch, version } = new BucketKeys(prefix, bucket);
  return {
    read: async () => (await counts.tallies(bucket, [backend]))[0],
    async forget() {
      await counts.forget(bucket, backend);
      // Without them the bucket begins anew, which every instance sees at its next poll.
      await client.call("del", [epoch, version]);
    },
  };
}

function tableOf({ counts, problem }: WriterCounts): string {
  const shown = (amount: number | undefined): string => (amount === undefined ? "-" : String(amount));
  const head = ["writer", "dimension", "in Redis", "stored"];
  const rows = counts.map(({ writer, dimension, shared, stored }) => [writer, dimension, shown(shared), shown(stored)]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const lines = [head, ...rows].map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  if (rows.length === 0) lines.push("nobody has anything");
  if (problem !== undefined) lines.push(`not all of what is in Redis can be used: ${problem.message}`);
  return lines.map((line) => line.trimEnd()).join("\n");
}
