import { spawn } from "node:child_process";
import { once } from "node:events";
import { buffer } from "node:stream/consumers";
import { curlBinary } from "@usage/test-servers";

export interface CurlResult {
  /** That it exited with. */
  readonly code: number;
  readonly stdout: Buffer;
}

/** Runs a real curl; what it complains about goes to stderr. */
export async function curl(...args: readonly string[]): Promise<CurlResult> {
  const program = await curlBinary();
  const child = spawn(program.path, [...program.args, "--silent", "--show-error", ...args], {
    env: { ...process.env, ...program.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [stdout, [code]] = await Promise.all([buffer(child.stdout), once(child, "close")]);
  return { code, stdout };
}
