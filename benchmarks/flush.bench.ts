import { answer, runChild } from "./child.ts";
import type { FlushTimes } from "./flush/time-flushes.ts";
import type { Row, Section, Table } from "./report.ts";
import { ratios } from "./rounds.ts";

const METHOD = [
  `10,000 backends, three dimensions each: 30,000 rows. *First* stores them in an empty table, *second* again after all have
grown. The flush is \`tracker.flush\`, all of it: what others stored is read, the tallies are taken, checked, sorted, merged by maximum in chunks, and
confirmed. *Bare* gets its rows ready made and sends them at once: with postgres.js one \`insert ... select unnest(...) on
conflict do update\` of all 30,000, with better-sqlite3 a prepared upsert per row in one transaction; it checks nothing.
*One by one* is one statement (SQLite: one transaction of three prepared upserts) per backend, each
awaited; it stores 1,000 backends only, and its time is multiplied by ten.`,
  `The SQLite file is on the machine's disk, in WAL mode with \`synchronous = full\` on both sides: each commit is an \`fsync\`. A
flush commits once a chunk, bare once in all. Postgres is a real server on this machine, with \`fsync\` off, which favours those
who commit often: one by one.`,
  `The event loop's longest hold is the maximum of \`monitorEventLoopDelay({ resolution: 1 })\` during the flush, less that
resolution, larger of first and second. It contains what other processes take from this one.`,
  `On Postgres one by one was 10.2x and 7.0x of *bare* in the last run: a second flush that costs no more than bare would not be eight
times as fast, either. What the first flush takes beyond its statements was not taken apart.`,
];

const sqlite = await runChild<FlushTimes>("flush/time-flushes.ts", { args: ["sqlite"], node: ["--expose-gc"] });
const postgres = await runChild<FlushTimes>("flush/time-flushes.ts", {
  args: ["postgres"],
  node: ["--expose-gc"],
});
answer({
  title: "Flush of 10,000 changed backends",
  method: METHOD,
  tables: [table("SQLite", sqlite), table("Postgres", postgres)],
} satisfies Section);

function table(title: string, { flush, timed, bare, perBackend }: FlushTimes): Table {
  return {
    title,
    rows: [
      ...compared("first", flush.insert, bare.insert, perBackend.insert),
      ...compared("second", flush.update, bare.update, perBackend.update),
      ...timedRows("first", flush.insert, timed.insert),
      ...timedRows("second", flush.update, timed.update),
      {
        subject: "event loop held by the flush",
        unit: "ms",
        values: flush.hold,
        target: { of: "value", bound: "at most", value: 20 },
      },
      { subject: "event loop held by bare", unit: "ms", values: bare.hold },
    ],
  };
}

function compared(when: string, flush: number[], bare: number[], perBackend: number[]): Row[] {
  return [
    { subject: `bare, ${when}`, unit: "ms", values: bare },
    {
      subject: `flush, ${when}`,
      unit: "ms",
      values: flush,
      ratio: { to: "bare", values: ratios(flush, bare) },
      target: { of: "ratio", bound: "at most", value: 1.3 },
    },
    {
      subject: `one by one, ${when}`,
      unit: "ms",
      values: perBackend,
      ratio: { to: "flush", values: ratios(perBackend, flush) },
      target: { of: "ratio", bound: "at least", value: 8 },
    },
  ];
}

/** What usage by hour costs beside. */
function timedRows(when: string, flush: number[], timed: number[]): Row[] {
  const ratio = { to: "flush", values: ratios(timed, flush) };
  return [{ subject: `flush with a timeline, ${when}`, unit: "ms", values: timed, ratio }];
}
