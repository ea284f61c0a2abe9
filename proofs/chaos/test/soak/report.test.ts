import { expect, it } from "vitest";
import { soakReport } from "../../src/soak/report.ts";
import type { SoakResult } from "../../src/soak/run-soak.ts";

const MIB = 2 ** 20;

/** A soak of one proxy whose heap and descriptors go as they are told. */
function soak(heapMib: (i: number) => number, openFiles: (i: number) => number): SoakResult {
  const samples = Array.from({ length: 40 }, (_, i) => ({
    atMs: 5_000 * i,
    rssBytes: 150 * MIB,
    heapBytes: heapMib(i) * MIB,
    openFiles: openFiles(i),
  }));
  const counts = { seconds: 200, left: 1, reloads: 1, dashboards: 1, redisAway: 2, replaced: 0 };
  return {
    ...counts,
    versions: ["Redis 7"],
    months: ["2026-01"],
    accounts: new Map(),
    samples: [samples],
    problems: [],
  };
}

it("a soak with steady memory and descriptors has no problem, whatever the first quarter did", () => {
  expect(
    soakReport(
      soak(
        (i) => (i < 10 ? i : 20 + (i % 2)),
        (i) => 80 + (i % 5),
      ),
      500,
    ).problems,
  ).toEqual([]);
});

it("a heap that grows by a tenth is a problem, and so are descriptors that are not closed", () => {
  const { problems, report } = soakReport(
    soak(
      (i) => 20 + 0.12 * i,
      (i) => 80 + i,
    ),
    500,
  );
  expect(problems).toEqual([
    "proxy 1: heap after a collection, MiB grew from 21.7 to 24.1",
    "proxy 1: open descriptors grew from 94.5 to 114.5",
  ]);
  expect(report).toContain("**2 problems:**");
});
