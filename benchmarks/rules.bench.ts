import { answer, runChild } from "./child.ts";
import type { Row, Section } from "./report.ts";
import { pooled, processesOf } from "./rounds.ts";
import type { RulesTimes } from "./rules/time-rules.ts";

const PROCESSES = processesOf(3);

const METHOD = [
  `What the proxy adds to a request where there are rules, alone: without connections. A sample is 500 requests. *A route* is the tenth of
ten rules by path; *of a path with escapes* looks for the rules of all of its readings. *Two dimensions* are R2's classes A and B of a
GET. A question has 4 kB, its answer 4 kB of JSON, or 101 events.`,
  "Without `routes`, `dimensions` and `tokens` none of it runs.",
];

const runs: RulesTimes[] = [];
for (let run = 0; run < PROCESSES; run++) runs.push(await runChild<RulesTimes>("rules/time-rules.ts"));
const { route, escaped, classes, estimate, whole, stream } = pooled(runs);

const row = (subject: string, values: readonly number[]): Row => ({ subject, unit: "us", values });

answer({
  title: "Rules and tokens",
  method: METHOD,
  tables: [
    {
      title: "A request with rules",
      rows: [
        row("a route", route),
        row("a route, of a path with escapes", escaped),
        row("two dimensions", classes),
        row("the estimate of a question", estimate),
        row("the tokens of an answer", whole),
        row("the tokens of a streamed answer", stream),
      ],
    },
  ],
} satisfies Section);
