import { plan } from "../faults/plan.ts";
import { readCommand } from "../report/command.ts";
import { aheadOfMonthEnd } from "../report/next-month.ts";
import { progressLine, runCommand } from "../report/run-command.ts";
import { chaosReport } from "./report.ts";
import { runChaos } from "./run-chaos.ts";

const INSTANCES = 8;

const USAGE = "pnpm chaos [--minutes N] [--seed S] [--idle N] [--report FILE]";
const { minutes, file, option } = readCommand(USAGE, "chaos-report.md", ["seed", "idle"]);
const idle = Number(option("idle") ?? 0);
if (!Number.isSafeInteger(idle) || idle < 0) {
  console.error(`--idle must be a whole number from 0 on, got ${option("idle")}\nusage: ${USAGE}`);
  process.exit(2);
}
const seed = Number(option("seed") ?? Math.floor(Math.random() * 1_000_000));
if (!Number.isSafeInteger(seed)) {
  console.error(`--seed must be a whole number, got ${option("seed")}\nusage: ${USAGE}`);
  process.exit(2);
}
const show = progressLine();
console.log(`seed ${seed}`);

await runCommand(file, async (signal) => {
  const durationMs = 60_000 * minutes;
  const result = await runChaos({
    size: INSTANCES,
    rounds: plan(seed),
    durationMs,
    idle,
    // So that a month ends in the middle of the run.
    clockOffsetMs: aheadOfMonthEnd(durationMs / 2),
    signal,
    onProblem: (problem) => console.error(problem),
    onProgress: ({ seconds, rounds, kills, faults, problems }) =>
      show(`${Math.round(seconds)} s, round ${rounds + 1}: ${kills} kills, ${faults} faults, ${problems} problems`),
  });
  return { report: chaosReport(result, seed), problems: result.problems };
});
