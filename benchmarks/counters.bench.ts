import { execFileSync } from "node:child_process";
import { answer, runChild } from "./child.ts";
import type { Allocations } from "./counters/count-allocations.ts";
import type { CallsOptions, CallTimes } from "./counters/time-calls.ts";
import type { ThreadTimes } from "./counters/time-threads.ts";
import type { DimensionCount } from "./counters/usage-shapes.ts";
import type { Row, Section, Table, Target } from "./report.ts";
import { IS_SHORT, pooled, processesOf, quantile, ratios } from "./rounds.ts";

const PROCESSES = processesOf(3);
/** Beside another checkout: enough for a minimum that the machine's noise does not reach. */
const PAIRS = processesOf(5);
const COUNTS: readonly DimensionCount[] = IS_SHORT ? [3] : [1, 3, 4, 5, 8];
const OTHER_COUNTS: readonly DimensionCount[] = IS_SHORT ? [4, 5] : [1, 4, 5, 8, 9];

const METHOD = [
  `16 backends in turn, limited in every dimension; 200,000 calls a sample (10,000 of the limiter), 21 rounds in each of
several processes. *Bare* is a class with a \`Map\` from name to row and three additions to a \`Float64Array\`; it checks nothing:
no unknown backend or dimension, no amount, no overflow.`,
  `Every call gets a fresh object. In the first table both sides also put it into a ring of 16, as a caller does that goes on
using it. Without that, V8 inlines the bare method, sees that the object never leaves the loop and does not make it at all: in
the second table, the bare loop is a lookup and three additions on registers, and no object.`,
  `*rate-limiter-flexible* is \`RateLimiterMemory.consume\`, awaited. It counts one number a call; to count three, as one
\`record\` does, takes three calls.`,
  `Each number of dimensions runs in processes of its own. *Mixed* is a process that has used counters of six other lists of
dimensions before.`,
  `Threads: each thread records as above, all at once; *heap* has a counter of its own in each thread, *shared* is one counter for
all, and a thread that only waits for them.`,
  `Beside another checkout (\`--against\`): whole processes of both take turns. A figure is the lowest first decile of ${PAIRS}
processes' samples: what other programs on the machine do only adds. \`tryRecord\` is compared with \`withinLimits\` and then
\`record\` there. *Instance* is an object of a class, *undefined* a literal with a dimension that is there and has no value.`,
  `Allocation: 20 million calls with one and the same object, one of its amounts above 2^31; the difference of \`heapUsed\`, and
the garbage collections seen meanwhile.`,
];

// Argument: the path of another checkout to be compared with, if any.
const [, , against] = process.argv;
const runs = await runsOf({ dimensions: 3, peers: true }, PROCESSES);
const tables = [
  keptTable(runs),
  ...peerTables(runs),
  ...(await otherTables()),
  ...(against === undefined ? [] : [await againstTable(against)]),
];
answer({ title: "Counters", method: METHOD, tables } satisfies Section);

function keptTable(runs: readonly CallTimes[]): Table {
  const { record, check, checkAndRecord, tryRecord, bare } = pooled(runs.map(({ kept }) => kept));
  return {
    title: "Three dimensions, the object is kept",
    rows: [
      { subject: "bare `Map` and three additions", unit: "ns", values: bare },
      perBare("`record`", record, bare, { of: "ratio", bound: "at most", value: 2.5 }),
      perBare("`withinLimits`", check, bare, { of: "ratio", bound: "at most", value: 2.5 }),
      perBare("`withinLimits`, then `record`", checkAndRecord, bare),
      perBare("`tryRecord`", tryRecord, bare, { of: "ratio", bound: "at most", value: 3 }),
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
  const rows: Row[] = [];
  for (const mixed of [false, true]) {
    let four: readonly number[] = [];
    for (const dimensions of OTHER_COUNTS) {
      const kept = pooled((await runsOf({ dimensions, mixed }, 1)).map((run) => run.kept));
      const what = `${dimensions} dimensions${mixed ? ", mixed" : ""}`;
      if (dimensions === 4) four = kept.tryRecord;
      rows.push(perBare(`\`record\`, ${what}`, kept.record, kept.bare));
      rows.push(perBare(`\`withinLimits\`, ${what}`, kept.check, kept.bare));
      if (dimensions === 5) {
        const target: Target = { of: "ratio", bound: "at most", value: 2 };
        rows.push({ ...over(`\`tryRecord\`, ${what}`, kept.tryRecord, "four dimensions", four), target });
      } else rows.push(perBare(`\`tryRecord\`, ${what}`, kept.tryRecord, kept.bare));
    }
  }
  return [
    { title: "More dimensions, beside the bare three additions", rows },
    { title: "Threads, three dimensions", rows: await threadRows() },
    { title: "Allocation per call", rows: await allocationRows() },
  ];
}

async function threadRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const threads of [1, 2, 4]) {
    const { heap, threaded } = await runChild<ThreadTimes>("counters/time-threads.ts", { args: [String(threads)] });
    const what = threads === 1 ? "one thread" : `${threads} threads at once`;
    rows.push({ subject: `\`record\`, ${what}, heap`, unit: "ns", values: heap });
    rows.push({
      ...over(`\`record\`, ${what}, shared`, threaded, "heap", heap),
      target: { of: "ratio", bound: "at most", value: 3 },
    });
  }
  return rows;
}

async function againstTable(checkout: string): Promise<Table> {
  const rows: Row[] = [];
  const plain = COUNTS.flatMap((dimensions) => [{ dimensions }, { dimensions, mixed: true }] as const);
  const shaped = [{ dimensions: 3, shape: "instance" } as const, { dimensions: 3, shape: "undefined" } as const];
  for (const options of [...plain, ...shaped] satisfies CallsOptions[]) {
    const here: CallTimes["kept"][] = [];
    const there: CallTimes["kept"][] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      there.push(...(await runsOf({ ...options, checkout }, 1)).map(({ kept }) => kept));
      here.push(...(await runsOf(options, 1)).map(({ kept }) => kept));
    }
    const best = (all: readonly CallTimes["kept"][], name: keyof CallTimes["kept"]): readonly number[] => [
      Math.min(...all.map((kept) => quantile(kept[name], 0.1))),
    ];
    const what = [
      `${options.dimensions} dimensions`,
      "mixed" in options ? "mixed" : "",
      "shape" in options ? options.shape : "",
    ];
    const title = what.filter((word) => word !== "").join(", ");
    const compared = (name: keyof CallTimes["kept"], peer: keyof CallTimes["kept"], value: number): Row => ({
      ...over(
        `\`${name === "check" ? "withinLimits" : name}\`, ${title}`,
        best(here, name),
        "theirs",
        best(there, peer),
      ),
      target: { of: "ratio", bound: "at most", value },
    });
    rows.push(
      compared("record", "record", 1),
      compared("check", "check", 1),
      compared("tryRecord", "checkAndRecord", 0.6),
    );
  }
  const commit = execFileSync("git", ["-C", checkout, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  return { title: `Beside commit ${commit}`, rows };
}

async function allocationRows(): Promise<Row[]> {
  const { record, check, tryRecord } = await runChild<Record<"record" | "check" | "tryRecord", Allocations>>(
    "counters/count-allocations.ts",
    { node: ["--expose-gc"] },
  );
  return [
    ...allocationRowsOf("`record`", record),
    ...allocationRowsOf("`withinLimits`", check),
    ...allocationRowsOf("`tryRecord`", tryRecord),
  ];
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
async function runsOf(options: CallsOptions, processes: number): Promise<CallTimes[]> {
  const runs: CallTimes[] = [];
  for (let run = 0; run < processes; run++) {
    runs.push(await runChild<CallTimes>("counters/time-calls.ts", { args: [JSON.stringify(options)] }));
  }
  return runs;
}
