import { answer, runChild } from "./child.ts";
import type { MemoryUse } from "./many-backends/measure-memory.ts";
import type { NearLimitTimes } from "./many-backends/time-near-limit.ts";
import type { Row, Section } from "./report.ts";
import { processesOf, ratios } from "./rounds.ts";

const METHOD = [
  `Memory: \`heapUsed\` and \`external\` after a full collection, less what was in use before, in processes of their own. The names
exist before. *Counter* is \`LocalCounterBackend\` with three dimensions, everything counted once and due at the store; *limits* is
what \`UsageTracker\` adds, with all three dimensions of every backend limited by one of two plans, from a function.`,
  `\`nearLimit(0.8)\` over 100,000, none near: it has to look at every one. *Bare* is one loop over two
arrays of 300,000 totals and limits, without names.`,
];

const memory: Row[] = [];
for (const backends of [100_000, 1_000_000]) {
  const uses: MemoryUse[] = [];
  for (let run = 0; run < processesOf(3); run++) {
    const args = [String(backends)];
    uses.push(await runChild<MemoryUse>("many-backends/measure-memory.ts", { args, node: ["--expose-gc"] }));
  }
  const what = backends.toLocaleString("en-US");
  memory.push(
    { subject: `${what}: counter`, unit: "MB", values: uses.map(({ counter }) => counter) },
    { subject: `${what}: limits`, unit: "MB", values: uses.map(({ limits }) => limits) },
    {
      subject: `${what}: both`,
      unit: "MB",
      values: uses.map(({ counter, limits }) => counter + limits),
      target: { of: "value", bound: "at most", value: backends / 4_000 },
    },
  );
}
const { nearLimit, bare } = await runChild<NearLimitTimes>("many-backends/time-near-limit.ts");

answer({
  title: "Very many backends",
  method: METHOD,
  tables: [
    { title: "Memory", rows: memory },
    {
      title: "`nearLimit`",
      rows: [
        {
          subject: "`nearLimit(0.8)`",
          unit: "ms",
          values: nearLimit,
          ratio: { to: "bare", values: ratios(nearLimit, bare) },
          target: { of: "value", bound: "at most", value: 5 },
        },
        { subject: "bare pass over the totals", unit: "ms", values: bare },
      ],
    },
  ],
} satisfies Section);
