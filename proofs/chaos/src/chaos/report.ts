import type { WriterAccount } from "../account/account.ts";
import { Book } from "../fleet/book.ts";
import { reportText, tableText } from "../report/markdown.ts";
import type { ChaosResult } from "./run-chaos.ts";

const INTRO = `Several instances (a Redis counter, a tracker and a flusher each, in a process of its own) count under load, while they
are killed and stopped, Redis loses its data or single keys, fails over, hangs and is cut off, and Postgres is killed and cut off. All
the while, tenants come that nobody has named, are let go of, and come back; and every other instance has exact limits, which they use
up together, again and again, writing down whatever they are let use before they use it. In the end, each writer's counts are compared with what is
stored of them, by period, backend and dimension, and each instance must see all that is stored of whatever it asks for.`;

const LOSSES = `A writer that ended in order loses nothing. One that was killed may lose what it had not shared (that much at most: nobody
knows whether the last step before the kill was recorded), and what it had shared with a Redis that lost it before anybody had
stored it. Anything else that is missing is a problem above, and so is anything that is stored twice.`;

const LIMITS = `Used: by all that ever ran, the dead included, and what is kept free counts as well. A limit may be passed only where Redis lost what it
knew, by what those had used who were dead or out of reach for longer than a lease, and whom the store does not know better either.
Anything else is a problem above.`;

export function chaosReport(result: ChaosResult, seed: number): string {
  const {
    versions,
    seconds,
    rounds,
    faults,
    kills,
    failedStarts,
    reports,
    tenants,
    losses,
    account,
    limits,
    idle,
    problems,
  } = result;
  const { writers } = account;
  const killed = writers.filter(({ end }) => end === "killed");
  const stopped = writers.filter(({ end }) => end === "stopped");
  return reportText({
    title: "Chaos",
    intro: INTRO,
    servers: versions,
    facts: [
      `${Math.round(seconds)} s, ${rounds} rounds, seed ${seed}: \`pnpm chaos --seed ${seed}\``,
      `${kills} kills; ${writers.length} writers, of which ${stopped.length} ended in order`,
      `${losses.length} times Redis lost counts that it had confirmed`,
      `${reports} times an instance's view was checked: not above what was counted, not below what it saw before`,
      `${tenants.came} backends came that were not there, and ${tenants.back} times one came back that an instance had let go of`,
      `${tenants.inherited} of those that only an instance held that was killed were stored by others`,
      `${idle} more backends that all hold, and of which hardly one is counted at any time`,
      `${failedStarts} starts failed while Redis or Postgres was away, and were repeated`,
    ],
    sections: [
      ["Counts", `${countsTable(writers)}\n\n${LOSSES}`],
      ["Exact limits", `${limitsTable(limits)}\n\n${LIMITS}`],
      ["Writers", writersTable(killed, stopped)],
      [
        "Faults",
        tableText(
          ["fault", "times"],
          [...faults].sort(([a], [b]) => (a < b ? -1 : 1)),
        ),
      ],
    ],
    problems,
  });
}

const COLUMNS = ["recorded, at most", "stored", "lost: not shared, at most", "lost: with Redis"];

function countsTable(writers: readonly WriterAccount[]): string {
  const sums = [
    (one: WriterAccount) => one.planned,
    (one: WriterAccount) => one.stored,
    (one: WriterAccount) => one.lostUnshared,
    (one: WriterAccount) => one.lostWithRedis,
  ].map((of) => Book.sumOf(writers.map(of)).byDimension());
  const dimensions = Object.keys(sums[0] ?? {});
  return tableText(
    ["", ...COLUMNS],
    dimensions.map((dimension) => [dimension, ...sums.map((sum) => sum[dimension] ?? 0)]),
  );
}

function limitsTable(limits: ChaosResult["limits"]): string {
  const passed = limits.filter(({ excess }) => excess > 0);
  const sum = (of: (one: ChaosResult["limits"][number]) => number): number => {
    return limits.reduce((all, one) => all + of(one), 0);
  };
  return tableText(
    ["limits, each of one backend in one month", ""],
    [
      ["number", limits.length],
      ["used up to the last unit", limits.filter(({ most, limit }) => most === limit).length],
      ["used", sum(({ used }) => used)],
      ["passed, by what was lost with Redis and the dead", passed.length],
      ["... by how much, all together", sum(({ excess }) => excess)],
      ["... and how much that may have been", sum(({ allowed }) => allowed)],
    ],
  );
}

function writersTable(killed: readonly WriterAccount[], stopped: readonly WriterAccount[]): string {
  const whole = killed.filter((one) => isNone(one.lostUnshared) && isNone(one.lostWithRedis));
  const withRedis = killed.filter((one) => !isNone(one.lostWithRedis));
  const unshared = killed.length - whole.length - withRedis.length;
  const exact = stopped.filter(({ planned, stored }) => isSame(planned, stored));
  return tableText(
    ["writers", "number"],
    [
      ["ended in order, stored exactly", exact.length],
      ["ended in order, not stored exactly", stopped.length - exact.length],
      ["killed, nothing lost", whole.length],
      ["killed, lost at most what was not shared", unshared],
      ["killed, lost what was shared with Redis too", withRedis.length],
    ],
  );
}

function isNone(book: Book): boolean {
  return book.entries().length === 0;
}

function isSame(a: Book, b: Book): boolean {
  return a.isAtMost(b) && b.isAtMost(a);
}
