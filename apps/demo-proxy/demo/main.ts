import type { Usage } from "@usage/counter-core";
import { formatBytes } from "../src/config/bytes.ts";
import { onSignal } from "../src/process/signals.ts";
import { type AuditRow, renderAudit } from "./audit.ts";
import { type Closing, close, type Loss } from "./closing.ts";
import { type DemoOptions, HELP, readCommandLine } from "./command-line.ts";
import { Journal } from "./journal.ts";
import { sum } from "./sample-upstream.ts";
import { CONNECTIONS, REQUESTS } from "./scenario.ts";
import { show } from "./show.ts";
import { openStage, PORTS, type Stage } from "./stage.ts";
import { Story } from "./story.ts";
import { paint } from "./table.ts";
import { Traffic } from "./traffic.ts";

/** The rows that a terminal needs for a picture that is redrawn. */
const PICTURE_ROWS = 23;

const INTRODUCTION = `
  A month in two minutes. Two proxies that keep one account stand before three
  upstreams with small monthly limits. Requests fill one upstream after another,
  until all are full and the proxies refuse. Meanwhile one proxy is killed, and
  Redis loses all it holds, if there is one. In the end, what the upstreams
  logged is compared with what was counted and stored.
`;

// Whoever reads the output may leave; the demo still ends in order.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
await main();

async function main(): Promise<void> {
  const told = new AbortController();
  try {
    const options = readCommandLine(process.argv.slice(2));
    if (options === "help") return void process.stdout.write(HELP);
    void onSignal(async () => told.abort());
    await demo(options, told.signal);
    // Whatever is left to be done keeps nobody waiting.
    process.exit(0);
  } catch (error) {
    if (told.signal.aborted && error === told.signal.reason) {
      console.log("  Ended before a request was sent.");
      process.exit(130);
    }
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}

async function demo(options: DemoOptions, told: AbortSignal): Promise<void> {
  const { stdout } = process;
  const animated = stdout.isTTY && process.env.TERM !== "dumb" && stdout.rows > PICTURE_ROWS;
  const styled = paint(stdout.isTTY && !process.env.NO_COLOR);
  const journal = new Journal((line) => void (animated || console.log(line)));
  await using opened = new AsyncDisposableStack();
  console.log(INTRODUCTION);
  const stage = await openStage(options, { journal, signal: told, opened });
  announce(stage, options);

  const { requestsPerSecond } = stage.scenario;
  const urls = stage.roles.flatMap(({ process }) => process?.url ?? []);
  const traffic = new Traffic({
    urls,
    requests: REQUESTS,
    clients: CONNECTIONS,
    keys: stage.keys,
    requestsPerSecond,
  });
  const over = new AbortController();
  const { seconds } = options;
  const story = new Story({ stage, traffic, journal, seconds, signal: AbortSignal.any([told, over.signal]) });
  journal.begin();
  traffic.start();
  const shown = show({ stage, traffic, story, journal, styled, seconds, animated, signal: over.signal });
  try {
    await Promise.race([untilTheEnd(story, options, told), shown, stage.one.unexpectedEnd]);
  } finally {
    await traffic.stop();
    over.abort();
  }
  await shown;

  const { backends, clients, loss } = await close(stage, traffic, story.kill);
  console.log(`\n${renderAudit(backends, styled).join("\n")}\n`);
  console.log(`${renderAudit(clients, styled, "client").join("\n")}\n`);
  if (loss !== undefined) console.log(`${lossText({ backends, clients, loss })}\n`);
  const rows = [...backends, ...clients];
  const different = rows.filter(({ agrees }) => !agrees).length;
  if (different > 0) throw new Error(`${different} of ${rows.length} numbers differ; see ${stage.folder}`);
  console.log(`  ${styled("green", "It agrees, to the byte.")} Files, also logs: ${stage.folder}\n`);
}

/** The story's end, or when it is told to end. */
async function untilTheEnd(story: Story, { stay }: DemoOptions, told: AbortSignal): Promise<void> {
  const isTold = new Promise<void>((resolve) => {
    if (told.aborted) resolve();
    else told.addEventListener("abort", () => resolve());
  });
  try {
    await story.play();
  } catch (error) {
    if (!told.aborted) throw error;
  }
  if (stay) await isTold;
}

function announce({ one, roles, redis, receiver, folder }: Stage, { seconds, stay }: DemoOptions): void {
  const proxies = roles.map(({ process }) => process?.url.origin).join(" and ");
  const counts = redis
    ? `shared through ${redis.version}, stored in SQLite`
    : "stored in one SQLite file, which both proxies read";
  const end = stay
    ? "Goes on until Ctrl-C."
    : `Ends by itself after ${seconds} s; Ctrl-C ends it sooner. --help has more.`;
  const [, wanted] = PORTS.one;
  const remark = one.admin.port === String(wanted) ? "look at it meanwhile" : `(port ${wanted} is taken)`;
  console.log(`  dashboard  ${one.admin.href}   ${remark}
  API        ${one.admin.href}api/usage
  proxies    ${proxies}
  counts     ${counts}
  webhooks   ${receiver.url.href}
  files      ${folder}

  ${end}
`);
}

function lossText({ backends, clients, loss }: Closing & { readonly loss: Loss }): string {
  const { name, lastMs, most } = loss;
  return `  kill -9 of proxy ${name} lost what it had counted and not passed on:
  by backend  ${lostOf(backends)}
  by client   ${lostOf(clients)}
  at most     ${amounts(most)},
  which is what it moved in its last ${lastMs / 1_000} s.`;
}

function lostOf(rows: readonly AuditRow[]): string {
  const nothing = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  return amounts(sum(rows.map(({ dimension, lost }) => ({ ...nothing, [dimension]: lost }))));
}

function amounts({ apiRequests, egressBytes, ingressBytes }: Usage): string {
  const bytes = `${formatBytes(egressBytes)} egress, ${formatBytes(ingressBytes)} ingress`;
  return `${apiRequests.toLocaleString("en")} requests, ${bytes}`;
}
