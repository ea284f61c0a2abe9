import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Mutation } from "./mutations.ts";

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export interface Verdict {
  readonly caught: boolean;
  /** The end of what the simulation said. */
  readonly output: string;
}

/** Runs the simulation on mutated code, in a process of its own. */
export function tryMutation({ name }: Mutation, seeds: number): Promise<Verdict> {
  const args = [
    "--conditions=@usage/source",
    "--import",
    path("./mutant-hook.ts"),
    path("./main.ts"),
    `--seeds=${seeds}`,
  ];
  const env = { ...process.env, USAGE_MUTATION: name };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`.trimEnd().split("\n").slice(-3).join("\n");
      resolve({ caught: error !== null && /^seed \d+: /m.test(output), output });
    });
  });
}
