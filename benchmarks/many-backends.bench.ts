import { answer, runChild } from "./child.ts";
import type { MemoryUse } from "./many-backends/measure-memory.ts";
import type { NearLimitTimes } from "./many-backends/time-near-limit.ts";
import type { Section } from "./report.ts";
import { ratios } from "./rounds.ts";

const METHOD = [
  `Memory: \`heapUsed\` and \`external\` after a full collection, less what was in use before, in five processes. The names, and
the limits as the user wrote them, exist before. *Counter* is \`LocalCounterBackend\` with three dimensions, everything counted
once; *limits* is what \`UsageTracker\` keeps besides, with all three dimensions of every backend limited.`,
  `\`nearLimit(0.8)\` over all of them, none near: it has to look at every one. *Bare* is one loop over two
arrays of 300,000 totals and limits, without names.`,
];

const uses: MemoryUse[] = [];
for (let run = 0; run < 5; run++) {
  uses.push(await runChild<MemoryUse>("many-backends/measure-memory.ts", { node: ["--expose-gc"] }));
}
const { nearLimit, bare } = await runChild<NearLimitTimes>("many-backends/time-near-limit.ts");

answer({
  title: "100,000 backends",
  method: METHOD,
  tables: [
    {
      title: "Memory",
      rows: [
        {
          subject: "counter",
          unit: "MB",
          values: uses.map(({ counter }) => counter),
          target: { of: "value", bound: "at most", value: 40 },
        },
        { subject: "limits", unit: "MB", values: uses.map(({ limits }) => limits) },
      ],
    },
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
