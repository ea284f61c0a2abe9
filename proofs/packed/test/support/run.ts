import { execFile } from "node:child_process";
import { env } from "node:process";
import { promisify } from "node:util";

export interface RunResult {
  readonly code: number;
  readonly output: string;
}

/** Runs a program and answers all that it wrote. Nothing of this workspace can be imported by way of its environment. */
export async function tryRun(cwd: string, program: string, ...args: readonly string[]): Promise<RunResult> {
  const { NODE_PATH: _, NODE_OPTIONS: __, ...rest } = env;
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, { cwd, env: rest, maxBuffer: 2 ** 26 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
    if (typeof code !== "number") throw error;
    return { code, output: `${stdout}${stderr}` };
  }
}

/** The same for what must succeed; answers its output. */
export async function run(cwd: string, program: string, ...args: readonly string[]): Promise<string> {
  const { code, output } = await tryRun(cwd, program, ...args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} in ${cwd} ended with ${code}:\n${output}`);
  return output;
}

/** The pnpm that runs the tests, where one does: `npx` works for two seconds before pnpm begins. */
const { npm_execpath: running, npm_config_user_agent: agent = "" } = env;
const PNPM: readonly [string, ...string[]] =
  running !== undefined && agent.startsWith("pnpm/12.") ? [running] : ["npx", "-y", "pnpm@12"];

/** Runs pnpm, like `run`. */
export function pnpm(cwd: string, ...args: readonly string[]): Promise<string> {
  const [program, ...first] = PNPM;
  return run(cwd, program, ...first, ...args);
}

/** Runs pnpm, like `tryRun`. */
export function tryPnpm(cwd: string, ...args: readonly string[]): Promise<RunResult> {
  const [program, ...first] = PNPM;
  return tryRun(cwd, program, ...first, ...args);
}
