import { answer, runChild } from "./child.ts";
import type { DimensionCount } from "./counters/usage-shapes.ts";
import type { Row, Section } from "./report.ts";
import { IS_SHORT, processesOf, quantile, ratios } from "./rounds.ts";
import type { WindowsOptions, WindowsTimes } from "./windows/time-windows.ts";

const METHOD = [
  `16 backends in turn, limited in every dimension and window, local counters, a fresh object each call, which is kept for a while. *One* is a
tracker without windows; two are a month and a day, three also a minute. Each number of windows and dimensions runs in processes of
its own. A figure is the lowest first decile of several processes' samples: what other programs do only adds.`,
];

const COUNTS: readonly DimensionCount[] = IS_SHORT ? [3] : [1, 3, 4, 8];
const PROCESSES = processesOf(4);
const WINDOWS = [1, 2, 3] as const;
const CALLS = {
  record: "`record`",
  check: "`withinLimits`",
  tryRecord: "`tryRecord`",
  reserve: "`tryReserve` and `settle`",
} as const satisfies Record<keyof WindowsTimes, string>;

const rows: Row[] = [];
for (const dimensions of COUNTS) {
  const runs: Record<(typeof WINDOWS)[number], WindowsTimes[]> = { 1: [], 2: [], 3: [] };
  for (let set = 0; set < PROCESSES; set++) {
    for (const windows of WINDOWS) runs[windows].push(await timeWindows({ dimensions, windows }));
  }
  for (const [call, name] of Object.entries(CALLS) as [keyof WindowsTimes, string][]) {
    const one = best(runs[1], call);
    rows.push({ subject: `${name}, ${dimensions} dimensions, one`, unit: "ns", values: one });
    for (const windows of [2, 3] as const) {
      const values = best(runs[windows], call);
      rows.push({
        subject: `${name}, ${dimensions} dimensions, ${windows === 2 ? "two" : "three"}`,
        unit: "ns",
        values,
        ratio: { to: "one", values: ratios(values, one) },
        ...(call === "tryRecord" &&
          windows === 2 && { target: { of: "ratio", bound: "at most", value: 1.6 } as const }),
      });
    }
  }
}
answer({
  title: "Windows",
  method: METHOD,
  tables: [{ title: "Calls, by the number of windows", rows }],
} satisfies Section);

function timeWindows(options: WindowsOptions): Promise<WindowsTimes> {
  return runChild<WindowsTimes>("windows/time-windows.ts", { args: [JSON.stringify(options)] });
}

function best(runs: readonly WindowsTimes[], of: keyof WindowsTimes): readonly number[] {
  return [Math.min(...runs.map((run) => quantile(run[of], 0.1)))];
}
