import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startNginx } from "@usage/test-servers";
import { answer, Child } from "./child.ts";
import type { Watch, Watched } from "./observed/watchers.ts";
import type { ComposedServing } from "./proxy/composed-proxy.ts";
import type { Load, LoadResult } from "./proxy/load.ts";
import type { CpuUsed } from "./proxy/serve.ts";
import type { Section } from "./report.ts";
import { interleave, ratios, roundsOf } from "./rounds.ts";

const METHOD = [
  `One proxy, composed as its users start it (ten backends, local counter, SQLite, flushes every second, admin listener, no
access log), under the load of the section above. *Watched* is the same process while a dashboard is open (the events of every second,
the audit every five, the history) and \`/metrics\` is scraped each second, from a process that shares the cores. Rounds of five
seconds with and without take turns.`,
];
const ROUNDS = roundsOf({ rounds: 11, warmups: 2 });
const LOAD_MS = 5_000;
const BODY_BYTES = 2 ** 10;

const nginx = await startNginx({ config: "access_log off; keepalive_requests 1000000000;" });
await writeFile(join(nginx.folder, "1k"), Buffer.alloc(BODY_BYTES, "usage"));
const proxy = new Child("proxy/composed-proxy.ts", { args: [`http://127.0.0.1:${nginx.port}`] });
const [load, watchers] = [new Child("proxy/load.ts"), new Child("observed/watchers.ts")];
try {
  const { port, adminPort } = await proxy.ask<ComposedServing>();
  const ask: Load = { port, path: "/1k", connections: 32, bodyBytes: BODY_BYTES, durationMs: LOAD_MS };
  const cpuUs = { alone: [] as number[], watched: [] as number[] };
  const sample = async (into: number[]): Promise<number> => {
    const before = await proxy.ask<CpuUsed>({ ask: "cpu" });
    const { requests, seconds } = await load.ask<LoadResult>(ask);
    const after = await proxy.ask<CpuUsed>({ ask: "cpu" });
    into.push((after.cpuUs - before.cpuUs) / requests);
    return requests / seconds;
  };
  const perSecond = await interleave(
    {
      alone: () => sample(cpuUs.alone),
      watched: async () => {
        await watchers.ask({ ask: "start", adminPort } satisfies Watch);
        const value = await sample(cpuUs.watched);
        checkWatched(await watchers.ask<Watched>({ ask: "stop" } satisfies Watch));
        return value;
      },
    },
    ROUNDS,
  );
  for (const values of Object.values(cpuUs)) values.splice(0, ROUNDS.warmups);
  const ratio = (watched: number[], alone: number[]) => ({ to: "alone", values: ratios(watched, alone) });
  answer({
    title: "Proxy, watched",
    method: METHOD,
    tables: [
      {
        title: "1 KiB responses, 32 connections, all of the app",
        rows: [
          { subject: "alone", unit: "requests/s", values: perSecond.alone },
          {
            subject: "watched",
            unit: "requests/s",
            values: perSecond.watched,
            ratio: ratio(perSecond.watched, perSecond.alone),
            target: { of: "ratio", bound: "at least", value: 0.95 },
          },
          { subject: "CPU per request, alone", unit: "us", values: cpuUs.alone },
          {
            subject: "CPU per request, watched",
            unit: "us",
            values: cpuUs.watched,
            ratio: ratio(cpuUs.watched, cpuUs.alone),
          },
        ],
      },
    ],
  } satisfies Section);
} finally {
  await Promise.all([proxy, load, watchers].map((child) => child.stop()));
  await nginx.stop();
}

/** A watcher that sees nothing would cost nothing. */
function checkWatched({ events, scrapes, audits }: Watched): void {
  const least = LOAD_MS / 1_000 - 1;
  if (events < least || scrapes < least || audits < 1) {
    throw new Error(`in ${LOAD_MS} ms only ${events} events, ${scrapes} scrapes and ${audits} audits were seen`);
  }
}
