import { rm } from "node:fs/promises";
import { join } from "node:path";
import { startPostgres, startRedis } from "@usage/test-servers";
import { answer } from "./child.ts";
import type { Row, Section, Table, Target } from "./report.ts";
import { interleave, ratios, roundsOf } from "./rounds.ts";
import { makeBundle } from "./start/make-bundle.ts";
import { type Started, timeStart } from "./start/time-start.ts";

const METHOD = [
  `The proxy with two backends, each start a process of its own, with SQLite on a fresh file, on Node's defaults. *From sources* is
\`npx -y pnpm@12 start\` without pnpm: Node reads the TypeScript, module by module. *Bundle* is the folder that
\`npx -y pnpm@12 bundle\` makes, as it is deployed.`,
  `*Ready* is from the start of the process until \`/readyz\` answers 200, asked every 5 ms; *CPU until ready* is what the process used
for it, which other programs on the machine lengthen less. *Resident* is what the process has of its own and shared memory three
seconds later, at rest; *peak* is the most that it had until then.`,
];
const SUBJECTS = ["sources", "bundle"] as const;
const ROUNDS = roundsOf({ rounds: 9, warmups: 1 });

type Subject = (typeof SUBJECTS)[number];
type Measured = Readonly<Record<Subject, Started[]>>;

const [bundle, redis, postgres] = await Promise.all([makeBundle(), startRedis({}), startPostgres()]);
try {
  const programs: Readonly<Record<Subject, readonly string[]>> = {
    sources: [
      `--import=${new URL("../scripts/direct-imports.mjs", import.meta.url).href}`,
      "--conditions=@usage/source",
      join(import.meta.dirname, "../apps/demo-proxy/src/main.ts"),
    ],
    bundle: [join(bundle, "app/usage-proxy.js")],
  };
  const shared = `counter: { kind: redis, url: "${redis.url}" }\nstore: { kind: postgres, url: "${postgres.url}" }\n`;
  answer({
    title: "Start and memory of the proxy",
    method: METHOD,
    tables: [
      table("Two backends, local counter, SQLite", await measure(programs, ""), { memoryMB: 120, readyMs: 1_000 }),
      table("Two backends, Redis and Postgres", await measure(programs, shared)),
    ],
  } satisfies Section);
} finally {
  await Promise.all([rm(bundle, { recursive: true }), redis.stop(), postgres.stop()]);
}

async function measure(programs: Readonly<Record<Subject, readonly string[]>>, settings: string): Promise<Measured> {
  const measured: Measured = { sources: [], bundle: [] };
  const sampler = (subject: Subject) => async (): Promise<number> => {
    const started = await timeStart(programs[subject], settings);
    measured[subject].push(started);
    return started.readyMs;
  };
  await interleave({ sources: sampler("sources"), bundle: sampler("bundle") }, ROUNDS);
  for (const subject of SUBJECTS) measured[subject].splice(0, ROUNDS.warmups);
  return measured;
}

interface Bounds {
  readonly memoryMB: number;
  readonly readyMs: number;
}

function table(title: string, measured: Measured, bounds?: Bounds): Table {
  const rows = (name: string, unit: string, of: (started: Started) => number, value?: number): Row[] => {
    const [sources, bundle] = [measured.sources.map(of), measured.bundle.map(of)];
    const target: Target | undefined = value === undefined ? undefined : { of: "value", bound: "at most", value };
    return [
      { subject: `${name}, from sources`, unit, values: sources },
      {
        subject: `${name}, bundle`,
        unit,
        values: bundle,
        ratio: { to: "sources", values: ratios(bundle, sources) },
        ...(target && { target }),
      },
    ];
  };
  return {
    title,
    rows: [
      ...rows("resident", "MB", ({ residentMB }) => residentMB, bounds?.memoryMB),
      ...rows("peak", "MB", ({ peakMB }) => peakMB),
      ...rows("ready", "ms", ({ readyMs }) => readyMs, bounds?.readyMs),
      ...rows("CPU until ready", "ms", ({ cpuMs }) => cpuMs),
    ],
  };
}
