import { STORAGE_DIMENSIONS } from "@usage/counter-core";
import { reportText, tableText } from "../report/markdown.ts";
import type { Verdict } from "../report/run-command.ts";
import type { SoakResult } from "./run-soak.ts";
import { type Course, courseOf, type Sample } from "./samples.ts";

const INTRO = `Two proxies, each a process of its own, count through one Redis into one Postgres, under steady load on connections that
stay open: bodies of 2 bytes to 256 KiB in both directions, one client in fifty gone half-way, dashboards opened and closed, metrics
scraped, the configuration reloaded. By their clocks a month ends in the middle. In the end everybody must have seen the same amounts, and nothing may have grown.`;

const MIB = 2 ** 20;
const MOST_GROWTH = { ratio: 0.1, mib: 20, files: 10 } as const;

const QUANTITIES: readonly (readonly [
  name: string,
  quantity: (sample: Sample) => number,
  isGrown: (course: Course) => boolean,
])[] = [
  ["resident memory, MiB", ({ rssBytes }) => rssBytes / MIB, hasGrown],
  ["heap after a collection, MiB", ({ heapBytes }) => heapBytes / MIB, hasGrown],
  ["open descriptors", ({ openFiles }) => openFiles, ({ before, after }) => after - before > MOST_GROWTH.files],
];

export function soakReport(result: SoakResult, requestsPerSecond: number): Verdict {
  const { versions, seconds, months, accounts, samples, left, reloads, dashboards } = result;
  const perSecond = Math.round((accounts.get("clients")?.apiRequests ?? 0) / seconds);
  const courses = samples.flatMap((own, i) =>
    QUANTITIES.map(([name, quantity, isGrown]) => {
      const course = courseOf(own, quantity);
      return { name: `proxy ${i + 1}: ${name}`, course, isGrown: isGrown(course) };
    }),
  );
  const grown = courses.filter(({ isGrown }) => isGrown);
  const problems = [
    ...result.problems,
    ...grown.map(({ name, course }) => `${name} grew from ${course.before.toFixed(1)} to ${course.after.toFixed(1)}`),
  ];
  const bound = `${100 * MOST_GROWTH.ratio}% and ${MOST_GROWTH.mib} MiB for memory, ${MOST_GROWTH.files} for descriptors`;
  const report = reportText({
    title: "Soak",
    intro: INTRO,
    servers: versions,
    facts: [
      `${months.join(" and ")}: what is counted in a month is stored in it`,
      `${Math.round(seconds)} s, ${requestsPerSecond} requests a second through each proxy asked for, ${perSecond} through both came about`,
      `${left} requests were left by their client half-way`,
      `${dashboards} dashboards were opened, the configuration was taken over ${reloads} times`,
      ...(result.replaced === 0
        ? []
        : [`${result.replaced} proxies of another version were replaced by ones of this, under load`]),
      `${result.redisAway} times a proxy was without Redis for a moment`,
    ],
    sections: [
      ["Amounts", amountsTable(accounts)],
      [
        "Growth",
        `${growthTable(courses)}\n\nMedians of the ${samples[0]?.length ?? 0} samples' second and last quarter. Allowed: less than ${bound}.`,
      ],
    ],
    problems,
  });
  return { report, problems };
}

function hasGrown({ before, after }: Course): boolean {
  return after - before >= MOST_GROWTH.mib || after >= (1 + MOST_GROWTH.ratio) * before;
}

function amountsTable(accounts: SoakResult["accounts"]): string {
  const rows = [...accounts].map(([who, usage]) => [who, ...STORAGE_DIMENSIONS.map((dimension) => usage[dimension])]);
  return tableText(["as seen by", ...STORAGE_DIMENSIONS], rows);
}

function growthTable(
  courses: readonly { readonly name: string; readonly course: Course; readonly isGrown: boolean }[],
): string {
  const rows = courses.map(({ name, course: { before, after, perHour }, isGrown }) => [
    name,
    before.toFixed(1),
    after.toFixed(1),
    perHour.toFixed(1),
    isGrown ? "**yes**" : "no",
  ]);
  return tableText(["", "second quarter", "last quarter", "per hour", "grown"], rows);
}
