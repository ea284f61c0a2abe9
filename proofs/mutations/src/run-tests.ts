import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { keyOf, type NamedTest } from "./mutation.ts";

/** Longer than the slowest file's tests may take, twice; what hangs longer is no answer. */
const TIMEOUT_MS_PER_FILE = 400_000;

export interface Outcome {
  /** Missing: no such test has run, perhaps because its file could not even be loaded. */
  readonly state: "passed" | "failed" | "missing";
  /** What the failed test says, or why there is none. */
  readonly message: string;
}

/** What is read of vitest's JSON report. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

/** Runs these tests and no others of a tree. Answers how each ended: failed, when any run of it did. */
export async function runTests(folder: string, tests: readonly NamedTest[]): Promise<ReadonlyMap<string, Outcome>> {
  const reportFile = join(folder, "vitest-report.json");
  await rm(reportFile, { force: true });
  const files = [...new Set(tests.map(({ file }) => file))];
  const output = await runVitest(folder, files.length * TIMEOUT_MS_PER_FILE, [
    ...files,
    `--testNamePattern=${tests.map(({ title }) => patternOf(title)).join("|")}`,
    // Whoever needs a quiet machine has it, and what fails has failed twice.
    "--no-file-parallelism",
    "--retry=1",
    "--reporter=json",
    `--outputFile=${reportFile}`,
  ]);
  const report: Report = JSON.parse(await readFile(reportFile, "utf8").catch(() => '{ "testResults": [] }'));
  return new Map(tests.map((test) => [keyOf(test), outcomeOf(test, folder, report, output)]));
}

function runVitest(folder: string, timeout: number, args: readonly string[]): Promise<string> {
  const vitest = join(folder, "node_modules/vitest/vitest.mjs");
  const options = { cwd: folder, timeout, maxBuffer: 2 ** 26 };
  return new Promise((resolve) => {
    execFile(process.execPath, [vitest, "run", ...args], options, (_, stdout, stderr) => resolve(stdout + stderr));
  });
}

function outcomeOf({ file, title }: NamedTest, folder: string, { testResults }: Report, output: string): Outcome {
  const found = testResults.filter(({ name }) => name === join(folder, file));
  const pattern = new RegExp(`^${patternOf(title)}`);
  const runs = found
    .flatMap(({ assertionResults }) => assertionResults)
    .filter((run) => pattern.test(run.title) && /^(passed|failed)$/.test(run.status));
  const failed = runs.find(({ status }) => status === "failed");
  if (failed !== undefined) return { state: "failed", message: essenceOf(failed.failureMessages?.[0] ?? "") };
  if (runs.length > 0) return { state: "passed", message: "" };
  return { state: "missing", message: found[0]?.message || output.trim().split("\n").slice(-5).join("\n") };
}

/** Placeholders of `it.each` stand for anything. */
function patternOf(title: string): string {
  return `${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/%[sdifjo]|\\\$\w+/g, ".*")}$`;
}

/** The simulation says first all that happened, and then which seed failed of what. */
function essenceOf(message: string): string {
  const lines = message.split("\n");
  return lines.find((line) => line.startsWith("seed ")) ?? lines[0] ?? "";
}
