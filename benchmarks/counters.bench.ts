import { answer, runChild } from "./child.ts";
import type { Allocations } from "./counters/count-allocations.ts";
import type { CallTimes } from "./counters/time-calls.ts";
import type { DimensionCount } from "./counters/usage-shapes.ts";
import type { Row, Section, Table, Target } from "./report.ts";
import { pooled, ratios } from "./rounds.ts";

const PROCESSES = 3;

const METHOD = [
  `16 backends in turn, limited in every dimension; 200,000 calls a sample (10,000 of the limiter), 21 rounds in each of
several processes. *Bare* is a class with a \`Map\` from name to row and three additions to a \`Float64Array\`; it checks nothing:
no unknown backend or dimension, no amount, no overflow.`,
  `Every call gets a fresh object. In the first table both sides also put it into a ring of 16, as a caller does that goes on
using it. Without that, V8 inlines the bare method, sees that the object never leaves the loop and does not make it at all: in
the second table, the bare loop is a lookup and three additions on registers, and no object.`,
  `*rate-limiter-flexible* is \`RateLimiterMemory.consume\`, awaited. It counts one number a call; to count three, as one
\`record\` does, takes three calls.`,
  `Each number of dimensions, and each kind of cells, runs in processes of its own. A process that mixes counters of different
dimensions is slower than these: V8 then looks up the properties by name.`,
  `Allocation: 20 million calls with one and the same object, one of its amounts above 2^31; the difference of \`heapUsed\`, and
the garbage collections seen meanwhile.`,
];

const runs = await runsOf(3, "heap", PROCESSES);
const tables = [keptTable(runs), ...peerTables(runs), ...(await otherTables())];
answer({ title: "Counters", method: METHOD, tables } satisfies Section);

function keptTable(runs: readonly CallTimes[]): Table {
  const { record, check, bare } = pooled(runs.map(({ kept }) => kept));
  return {
    title: "Three dimensions, the object is kept",
    rows: [
      { subject: "bare `Map` and three additions", unit: "ns", values: bare },
      perBare("`record`", record, bare, { of: "ratio", bound: "at most", value: 2 }),
      perBare("`withinLimits`", check, bare, { of: "ratio", bound: "at most", value: 3 }),
    ],
  };
}

function peerTables(runs: readonly CallTimes[]): Table[] {
  const { record, check, bare, consume, consumeThree } = pooled(runs.flatMap(({ peers }) => peers ?? []));
  const target: Target = { of: "ratio", bound: "at least", value: 20 };
  return [
    {
      title: "Three dimensions, the object is dropped at once",
      rows: [
        { subject: "bare, without making the object", unit: "ns", values: bare },
        perBare("`record`", record, bare),
        perBare("`withinLimits`", check, bare),
      ],
    },
    {
      title: "rate-limiter-flexible, in memory",
      rows: [
        over("`consume`, one number", consume, "`record` of three", record),
        over("`consume`, one number", consume, "`withinLimits` of three", check),
        { ...over("`consume`, three numbers", consumeThree, "`record`", record), target },
        { ...over("`consume`, three numbers", consumeThree, "`withinLimits`", check), target },
      ],
    },
  ];
}

async function otherTables(): Promise<Table[]> {
  const counts: DimensionCount[] = [4, 5, 8, 9];
  const rows: Row[] = [];
  for (const count of counts) rows.push(...costRows(`${count} dimensions`, await runsOf(count, "heap", 1)));
  return [
    { title: "More dimensions, beside the bare three additions", rows },
    {
      title: "Shared cells, one thread, three dimensions",
      rows: costRows("shared cells", await runsOf(3, "shared", 1)),
    },
    { title: "Allocation per call, heap cells", rows: await allocationRows() },
  ];
}

function costRows(what: string, runs: readonly CallTimes[]): Row[] {
  const { record, check, bare } = pooled(runs.map(({ kept }) => kept));
  return [perBare(`\`record\`, ${what}`, record, bare), perBare(`\`withinLimits\`, ${what}`, check, bare)];
}

async function allocationRows(): Promise<Row[]> {
  const { record, check } = await runChild<Record<"record" | "check", Allocations>>("counters/count-allocations.ts", {
    node: ["--expose-gc"],
  });
  return [...allocationRowsOf("`record`", record), ...allocationRowsOf("`withinLimits`", check)];
}

function allocationRowsOf(subject: string, { bytesPerCall, collections }: Allocations): Row[] {
  return [
    { subject, unit: "bytes", values: [bytesPerCall], target: { of: "value", bound: "at most", value: 0.01 } },
    {
      subject: `${subject}, collections`,
      unit: "",
      values: [collections],
      target: { of: "value", bound: "at most", value: 0 },
    },
  ];
}

function perBare(subject: string, values: readonly number[], bare: readonly number[], target?: Target): Row {
  return {
    subject,
    unit: "ns",
    values,
    ratio: { to: "bare", values: ratios(values, bare) },
    ...(target && { target }),
  };
}

function over(subject: string, values: readonly number[], to: string, peers: readonly number[]): Row {
  return { subject, unit: "ns", values, ratio: { to, values: ratios(values, peers) } };
}

/** Several processes, since some of what V8 decides differs from run to run. */
async function runsOf(dimensions: DimensionCount, cells: "heap" | "shared", processes: number): Promise<CallTimes[]> {
  const runs: CallTimes[] = [];
  for (let run = 0; run < processes; run++) {
    runs.push(await runChild<CallTimes>("counters/time-calls.ts", { args: [String(dimensions), cells] }));
  }
  return runs;
}
