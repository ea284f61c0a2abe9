import { writeFile } from "node:fs/promises";

/** What a long run found. */
export interface Verdict {
  /** Markdown. */
  readonly report: string;
  /** Whatever was not as it should be, one line each. */
  readonly problems: readonly string[];
}

/**
 * Runs until it is done, or until Ctrl-C, and then cleans up all the same; writes the report; exit code 1 when anything is wrong,
 * 130 when it was interrupted.
 */
export async function runCommand(file: string, run: (signal: AbortSignal) => Promise<Verdict>): Promise<void> {
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupt.abort());
  try {
    const { report, problems } = await run(interrupt.signal);
    await writeFile(file, report);
    clearLine();
    for (const problem of problems.slice(0, 20)) console.error(problem);
    console.log(problems.length === 0 ? `Everything held. ${file}` : `${problems.length} problems. ${file}`);
    process.exitCode = problems.length === 0 ? 0 : 1;
  } catch (error) {
    clearLine();
    if (!interrupt.signal.aborted) throw error;
    console.error("interrupted: there is no report");
    process.exitCode = 130;
  }
}

/** One line, again and again in its place; without a terminal, a line now and then. */
export function progressLine(): (text: string) => void {
  let nextMs = 0;
  return (text) => {
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`);
    else if (performance.now() >= nextMs) {
      console.log(text);
      nextMs = performance.now() + 15_000;
    }
  };
}

function clearLine(): void {
  if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
}
