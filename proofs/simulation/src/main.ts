import { parseArgs } from "node:util";
import { simulate } from "./simulation.ts";
import { SimulationFailure } from "./simulation-failure.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    first: { type: "string", default: "0" },
    exact: { type: "boolean", default: false },
  },
});
const [first, seeds] = [values.first, values.seeds].map(Number) as [number, number];
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(seeds) || seeds < 1) {
  console.error("usage: pnpm simulate [--seeds N] [--first SEED] [--exact]");
  process.exit(2);
}

// Traces of errors that are expected would take a fifth of the time.
Error.stackTraceLimit = 0;
const totals = { steps: 0, kills: 0, losses: 0, admitted: 0, refused: 0, excused: 0, forgiven: 0 };
try {
  for (let seed = first; seed < first + seeds; seed++) {
    const report = await simulate(seed, values.exact);
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += report[name];
  }
  console.log(
    `${seeds} seeds from ${first}: every promise held in ${totals.steps} steps, ${totals.kills} kills, ${totals.losses} losses`,
    values.exact
      ? `${totals.admitted} admitted, ${totals.refused} refused, ${totals.excused} excused, ${totals.forgiven} written off`
      : "",
  );
} catch (error) {
  if (!(error instanceof SimulationFailure)) throw error;
  console.error(error.trace.join("\n"));
  console.error(
    `\n${error.message}\nagain: pnpm simulate --first ${error.seed} --seeds 1${values.exact ? " --exact" : ""}`,
  );
  process.exitCode = 1;
}
