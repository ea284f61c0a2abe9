import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

export interface RunOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface RunResult {
  readonly code: number | null;
  /** What it wrote to stdout, and then what it wrote to stderr. */
  readonly output: string;
}

/** Runs a program to its end. */
export async function run(path: string, args: readonly string[], { cwd, env }: RunOptions): Promise<RunResult> {
  const child = spawn(path, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code, output: `${stdout}${stderr}` };
}
