import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** A process that runs a script of this folder on the packages' sources. */
export interface NodeRun {
  readonly process: ChildProcess;
  /** What it wrote, once it has ended well. */
  readonly output: Promise<string>;
}

export function runNode(script: string, ...args: readonly string[]): NodeRun {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@usage/source", file, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  return { process: child, output: outputOf(child) };
}

async function outputOf(child: ReturnType<typeof spawn> & ChildProcess): Promise<string> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("the process has no output");
  const [out, problems, [status]] = await Promise.all([text(stdout), text(stderr), once(child, "exit")]);
  if (status !== 0) throw new Error(`exited with ${status}: ${problems}`);
  return out;
}
