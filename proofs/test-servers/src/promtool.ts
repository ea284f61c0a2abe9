import { execFile } from "node:child_process";
import { debianProgram } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/** What promtool said, and the code it exited with. */
export interface PromtoolResult {
  readonly code: number;
  /** What it wrote to stdout, and then what it wrote to stderr. */
  readonly output: string;
}

/**
 * Runs Prometheus's own promtool.
 *
 * @param input - What it reads from stdin.
 * @throws Error that says how to install promtool, when there is none and none can be fetched.
 */
export async function promtool(args: readonly string[], input = ""): Promise<PromtoolResult> {
  const program = await promtoolBinary();
  const { promise, resolve, reject } = Promise.withResolvers<PromtoolResult>();
  const env = { ...process.env, ...program.env };
  const child = execFile(program.path, [...program.args, ...args], { env }, (error, stdout, stderr) => {
    const output = `${stdout}${stderr}`.trim();
    if (error === null) resolve({ code: 0, output });
    else if (typeof error.code === "number") resolve({ code: error.code, output });
    else reject(error);
  });
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  return promise;
}

/**
 * Prometheus's own judgement of a text in its exposition format: what its parser refuses and its linter finds, one finding
 * a line; empty when it is content.
 *
 * @throws Error like `promtool`.
 */
export async function promtoolFindings(text: string): Promise<string> {
  const { code, output } = await promtool(["check", "metrics"], text);
  // It exits with 1 for what it cannot parse, and with 3 for what it finds; anything else is its own failure.
  if (code === 0 || (output !== "" && (code === 1 || code === 3))) return output;
  throw new Error(`promtool check metrics exited with ${code}: ${output}`);
}

/** The promtool on PATH; else, on Debian and its kin, one that is fetched once into the workspace's cache. */
async function promtoolBinary(): Promise<Program> {
  const installed = installedProgram("promtool");
  if (installed !== undefined) return installed;
  try {
    return await debianProgram({ name: "prometheus", path: "usr/bin/promtool" });
  } catch (cause) {
    throw new Error("promtool is not installed: apt-get install -y --no-install-recommends prometheus", { cause });
  }
}
