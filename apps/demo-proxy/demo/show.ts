import { setTimeout as delay } from "node:timers/promises";
import type { UsageReport } from "../src/admin/api/usage/usage-report.ts";
import type { Journal } from "./journal.ts";
import { Screen } from "./screen.ts";
import type { Stage } from "./stage.ts";
import type { Story } from "./story.ts";
import { type DemoView, type Paint, renderLine, renderTable } from "./table.ts";
import type { Traffic } from "./traffic.ts";

export interface ShowParts {
  readonly stage: Stage;
  readonly traffic: Traffic;
  readonly story: Story;
  readonly journal: Journal;
  readonly styled: Paint;
  readonly seconds: number;
  /** Whether a picture is redrawn in place, or lines are written one below the other. */
  readonly animated: boolean;
  readonly signal: AbortSignal;
}

const FRAME_MS = 200;
/** Where lines are written: how many in all. */
const LINES = 24;

/** Shows how it goes, by what the first proxy says, until the signal. What was drawn stays. */
export async function show(parts: ShowParts): Promise<void> {
  const { stage, story, styled, seconds, animated, signal } = parts;
  const screen = new Screen(process.stdout);
  const giveBack = (): void => screen.close();
  process.on("exit", giveBack);
  const lineMs = (seconds * 1_000) / LINES;
  let nextLineMs = lineMs;
  let lastLine = "";
  try {
    for (;;) {
      const report = await stage.one.usage();
      story.see(report);
      const view = viewOf(parts, report);
      if (animated) screen.draw(renderTable(view, styled, process.stdout.rows - 1));
      else if (view.elapsedMs >= nextLineMs || signal.aborted) {
        const line = renderLine(view);
        if (line !== lastLine) console.log(line);
        lastLine = line;
        nextLineMs += lineMs;
      }
      if (signal.aborted) return;
      await delay(FRAME_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    screen.close();
    process.off("exit", giveBack);
  }
}

function viewOf({ stage, traffic, journal }: ShowParts, report: UsageReport): DemoView {
  const { redis, roles } = stage;
  return {
    elapsedMs: journal.elapsedMs(),
    period: report.period.key,
    backends: report.backends.map(({ name, withinLimits: open, usage, limits }) => ({ name, open, usage, limits })),
    answers: traffic.answers(),
    processes: [
      ...roles.map(({ name, process }) => `${name} ${process === undefined ? "killed" : "up"}`),
      ...(redis ? [`Redis ${report.counter.healthy ? "up" : "away"}`] : []),
    ],
    story: journal.story,
    deliveries: journal.deliveries,
  };
}
