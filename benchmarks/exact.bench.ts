import { execFileSync } from "node:child_process";
import { startRedis } from "@usage/test-servers";
import { answer, runChild } from "./child.ts";
import type { DimensionCount } from "./counters/usage-shapes.ts";
import { PROCESSES, REQUESTS_PER_SECOND } from "./exact/run-fleet.ts";
import type { AdmissionOptions, AdmissionTimes } from "./exact/time-admissions.ts";
import { type FleetTimes, timeFleets } from "./exact/time-fleets.ts";
import type { RestUse } from "./redis/measure-rest.ts";
import type { Row, Section, Table, Target } from "./report.ts";
import { IS_SHORT, processesOf, quantile, ratios } from "./rounds.ts";

const METHOD = [
  `Admission: 16 backends in turn, limited in every dimension, fresh objects each call, which are kept for a while, in processes of
their own. *Exact* is a \`RedisCounterBackend\` with \`enforcement: "exact"\`, connected to a real server, which admits from its slices; *local*
is a \`LocalCounterBackend\`. A figure is CPU time of the thread, so that what other programs take is not in it: the lowest first decile of
several processes' samples. Only calls are in it, not what the event loop does between them.`,
  `Beside another checkout (\`--against\`): \`tryRecord\` with \`withinLimits\` and then \`record\` there; \`tryReserve\` and \`settle\`, with an object for the
estimate and one for the actual amounts, with \`withinLimits\` of the one and \`record\` of the other there. Each with a local counter there.`,
  `Fleet: ${PROCESSES} processes, one server on the same machine, ${REQUESTS_PER_SECOND.toLocaleString("en-US")} requests a second in all, from the first instant on, of one backend with a limit
that is used up after ten seconds; 1.5 s later it ends. *Even*: each has as many; *skewed*: each has half as many as the one before. A request is \`tryRecord\`, and where that
refuses, \`reserve\` with \`waitMs\` of 500. *Before the first refusal* is what was admitted anywhere until a request was refused anywhere.
Waiting are those that were admitted after they had waited. Pushes are as often as the title says, polls once a second.`,
  `Calls are commands to Redis. *Beyond approximate* is how many more they are than of the same fleet without limits, in approximate mode.
Processes that get no CPU time make requests wait: these figures want a machine that is not busy.`,
  `At rest: as in the section on Redis; each of the backends is limited in three dimensions, had a slice, and has given it back.`,
];

const COUNTS: readonly DimensionCount[] = IS_SHORT ? [3] : [1, 3, 4];
const SETS = processesOf(2);
const MANY = IS_SHORT ? 2_000 : 10_000;

// Argument: another checkout, if any.
const [, , against] = process.argv;
const server = await startRedis();
try {
  const tables = [await admissionTable(against), ...(await timeFleets(server.url)).map(fleetTable), await restTable()];
  answer({
    title: "Holds and exact limits",
    method: [...METHOD, `Server: ${server.version}.`],
    tables,
  } satisfies Section);
} finally {
  await server.stop();
}

async function admissionTable(checkout: string | undefined): Promise<Table> {
  const rows: Row[] = [];
  for (const dimensions of COUNTS) {
    const subjects = { local: { dimensions }, exact: { dimensions, url: server.url } } as const;
    const runs: Record<"theirs" | keyof typeof subjects, AdmissionTimes[]> = { theirs: [], local: [], exact: [] };
    for (let set = 0; set < SETS; set++) {
      if (checkout !== undefined) runs.theirs.push(await timeAdmissions({ dimensions, checkout }));
      for (const name of ["local", "exact"] as const) runs[name].push(await timeAdmissions(subjects[name]));
    }
    for (const name of ["local", "exact"] as const) {
      const row = (subject: string, of: keyof AdmissionTimes, value: number): Row => ({
        subject: `${subject}, ${dimensions} dimensions, ${name}`,
        unit: "ns",
        values: best(runs[name], of),
        ...(checkout !== undefined && besides(best(runs[name], of), best(runs.theirs, of), value)),
      });
      rows.push(row("`tryRecord`", "once", 0.6), row("`tryReserve` and `settle`", "later", 1.2));
    }
  }
  const commit = (of: string): string =>
    execFileSync("git", ["-C", of, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  return { title: checkout === undefined ? "Admission" : `Admission, beside commit ${commit(checkout)}`, rows };
}

function timeAdmissions(options: AdmissionOptions): Promise<AdmissionTimes> {
  return runChild<AdmissionTimes>("exact/time-admissions.ts", { args: [JSON.stringify(options)] });
}

function best(runs: readonly AdmissionTimes[], of: keyof AdmissionTimes): readonly number[] {
  return [Math.min(...runs.map((run) => quantile(run[of], 0.1)))];
}

function besides(values: readonly number[], peers: readonly number[], value: number): Pick<Row, "ratio" | "target"> {
  return {
    ratio: { to: "theirs", values: ratios(values, peers) },
    target: { of: "ratio", bound: "at most", value },
  };
}

function fleetTable({ load, roundMs, limit, exact, approximate }: FleetTimes): Table {
  const atMost = (value: number): Target => ({ of: "value", bound: "at most", value });
  const percents = (of: (run: FleetTimes["exact"][number], i: number) => number): number[] =>
    exact.map((run, i) => 100 * of(run, i));
  const calls = percents(({ commandShare }) => commandShare);
  const waits = (part: number): number[] =>
    exact.map(({ waitsMs }) => (waitsMs.length === 0 ? 0 : quantile(waitsMs, part)));
  return {
    title: `Fleet, ${load}, rounds of ${roundMs} ms`,
    rows: [
      {
        subject: "admitted above the limit",
        unit: "",
        values: exact.map((run) => run.admitted - limit),
        target: atMost(0),
      },
      {
        subject: "admitted before the first refusal",
        unit: "%",
        values: percents((run) => run.admittedBefore / limit),
        target: { of: "value", bound: "at least", value: 99.5 },
      },
      { subject: "calls, of all requests", unit: "%", values: calls, target: atMost(1) },
      {
        subject: "calls beyond approximate, of all requests",
        unit: "%",
        values: percents((run, i) => run.commandShare - (approximate[i]?.commandShare ?? Number.NaN)),
        target: atMost(0.3),
      },
      { subject: "requests that waited", unit: "%", values: percents((run) => run.waitsMs.length / run.requests) },
      { subject: "how long, median", unit: "ms", values: waits(0.5) },
      { subject: "how long, p99", unit: "ms", values: waits(0.99) },
    ],
  };
}

async function restTable(): Promise<Table> {
  const rows: Row[] = [];
  for (const enforcement of ["approximate", "exact"]) {
    const args = [server.url, String(MANY), enforcement];
    const { commands, cpuMs, serverCpuMs } = await runChild<RestUse>("redis/measure-rest.ts", { args });
    rows.push(
      { subject: `${enforcement}: commands`, unit: "/s", values: commands },
      { subject: `${enforcement}: CPU, ours`, unit: "ms/s", values: cpuMs },
      { subject: `${enforcement}: CPU, Redis`, unit: "ms/s", values: serverCpuMs },
    );
  }
  return { title: `At rest, ${MANY.toLocaleString("en-US")} limited backends`, rows };
}
