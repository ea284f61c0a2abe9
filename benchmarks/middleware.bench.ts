import { answer, runChild } from "./child.ts";
import type { MiddlewareTimes } from "./middleware/time-middleware.ts";
import type { Row, Section, Table } from "./report.ts";
import { pooled, processesOf, ratios } from "./rounds.ts";

const PROCESSES = processesOf(3);

const METHOD = [
  `The Express middleware alone: Express's request and response objects, made before the time is taken, without a connection or a
router. A sample is 5,000 requests of 16 or 10,000 tenants in turn, one after the other, each awaited until it is passed on, and told
that its answer has ended; 21 rounds in each of ${PROCESSES} processes. All that pass put two headers on the answer.`,
  `*Nothing* passes on at once: it is what awaiting costs. *Counted* is \`metered\` with a \`key\` only; *held* has \`responseBytes\` too, so
two limits are in the headers, and the cost is held and settled.`,
  `*express-rate-limit* is version 8 with its memory store and its validations switched off; its headers of draft 8 have
a hash of the key in them; those of draft 7 have not, as ours, and are what is compared with.
*rate-limiter-flexible* is \`RateLimiterMemory.consume\` in the few lines that its documentation has for Express.`,
];

const tables: Table[] = [];
for (const tenants of [16, 10_000]) {
  const runs: MiddlewareTimes[] = [];
  for (let run = 0; run < PROCESSES; run++) {
    runs.push(await runChild<MiddlewareTimes>("middleware/time-middleware.ts", { args: [String(tenants)] }));
  }
  tables.push(tableOf(tenants, pooled(runs)));
}
answer({ title: "Middleware", method: METHOD, tables } satisfies Section);

function tableOf(
  tenants: number,
  { nothing, counted, held, expressRateLimit, expressRateLimit8, flexible }: MiddlewareTimes,
): Table {
  const over = (subject: string, values: readonly number[]): Row => ({
    subject,
    unit: "ns",
    values,
    ratio: { to: "express-rate-limit", values: ratios(values, expressRateLimit) },
  });
  return {
    title: `A request that passes, ${tenants.toLocaleString("en-US")} tenants`,
    rows: [
      { subject: "nothing", unit: "ns", values: nothing },
      { subject: "express-rate-limit", unit: "ns", values: expressRateLimit },
      over("express-rate-limit, draft 8", expressRateLimit8),
      over("rate-limiter-flexible", flexible),
      { ...over("`metered`, counted", counted), target: { of: "ratio", bound: "at most", value: 1 } },
      over("`metered`, held", held),
    ],
  };
}
