import { answer } from "./child.ts";
import type { Row, Section, Table } from "./report.ts";
import { IS_SHORT, quantile } from "./rounds.ts";
import { type FleetSize, type FleetUse, measureFleet } from "./scale/measure-fleet.ts";
import { type Panel, plotText } from "./scale/plot.ts";

const METHOD = [
  `What does it cost to hold so many backends, in so many processes? An earlier run has stored something of each in this month. Then
each instance, a process of its own, brings all of them in with one \`tracker.ensure\`, one instance after the other, and counts ten
backends a second, each of which another one, picked at random. All have limits in three dimensions.`,
  `*SQLite* is one instance with a local counter. *Redis* is a fleet with Redis counters and the store in Postgres. Redis is empty when the
first one starts, which brings it what is stored; *first start* is that one's, *start* the last one's. *CPU* and *calls* are those of each
instance, in each second of counting, before anything is flushed. *Resident* is the memory of the process after it. *Flush* is one of
ten changes, after one that has stored what came before; the instances flush at once.`,
  `![Start, memory, CPU, calls and flush over the number of backends, for one, eight and 32 instances](scale.svg)`,
  `The servers and all processes share the machine, so that with 8 and 32 instances the starts and flushes wait for two cores. What is not in
the table was not measured: 32 instances with 100,000 backends, and more than one with a million, do not fit into this machine.`,
];

const SIZES: readonly (readonly [FleetSize["servers"], instances: number, backends: readonly number[]])[] = IS_SHORT
  ? [
      ["sqlite", 1, [100, 1_000]],
      ["redis", 1, [100, 1_000]],
      ["redis", 2, [100, 1_000]],
    ]
  : [
      ["sqlite", 1, [1_000, 10_000, 100_000, 1_000_000]],
      ["redis", 1, [1_000, 10_000, 100_000, 1_000_000]],
      ["redis", 8, [1_000, 10_000, 100_000]],
      ["redis", 32, [1_000, 10_000]],
    ];
const ORDER = IS_SHORT ? { restMs: 1_000, flushes: 3 } : { restMs: 8_000, flushes: 8 };

interface Measure {
  readonly title: string;
  readonly unit: string;
  readonly of: (use: FleetUse) => readonly number[];
}

const MEASURES: readonly Measure[] = [
  { title: "First start", unit: "ms", of: ({ firstStartMs }) => [firstStartMs] },
  { title: "Start", unit: "ms", of: ({ lastStartMs }) => [lastStartMs] },
  { title: "Resident", unit: "MB", of: ({ residentMB }) => residentMB },
  { title: "CPU", unit: "ms/s", of: ({ cpuMs }) => cpuMs },
  { title: "Calls to Redis", unit: "/s", of: ({ servers, commands }) => (servers === "redis" ? commands : []) },
  { title: "Flush of ten changes", unit: "ms", of: ({ flushMs }) => flushMs },
];

const uses: FleetUse[] = [];
for (const [servers, instances, all] of SIZES) {
  for (const backends of all) uses.push(await measureFleet({ servers, instances, backends }, ORDER));
}
answer({
  title: "Growth: from a thousand backends to a million",
  method: METHOD,
  tables: MEASURES.map(tableOf),
  plots: { "scale.svg": plotText(MEASURES.slice(1).map(panelOf)) },
} satisfies Section);

function tableOf(measure: Measure): Table {
  const { title, unit } = measure;
  const rows = uses.map(
    (use): Row => ({ subject: `${nameOf(use)}, ${count(use.backends)}`, unit, values: measure.of(use) }),
  );
  return { title, rows: rows.filter(({ values }) => values.length > 0) };
}

function panelOf(measure: Measure): Panel {
  const lines = Array.from(Map.groupBy(uses, nameOf), ([name, fleet]) => {
    const measured = fleet.filter((use) => measure.of(use).length > 0);
    return { name, points: measured.map((use) => [use.backends, quantile(measure.of(use), 0.5)] as const) };
  });
  return { title: measure.title, unit: measure.unit, lines };
}

function nameOf({ servers, instances }: FleetSize): string {
  return servers === "sqlite" ? "SQLite" : `Redis, ${instances === 1 ? "one instance" : `${instances} instances`}`;
}

function count(backends: number): string {
  return backends.toLocaleString("en-US");
}
