import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";

/** A script of this app in a process of its own, killed after the test if it still runs. */
export class Child {
  readonly process: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  #output = "";
  #errors = "";

  /** `script` is relative to the app's folder. The user stands in `folder`. */
  constructor(script: string, args: readonly string[], folder: string, env: NodeJS.ProcessEnv = {}) {
    const path = new URL(`../../${script}`, import.meta.url).pathname;
    this.process = spawn(process.execPath, ["--conditions=@usage/source", path, ...args], {
      cwd: folder,
      env: { ...process.env, INIT_CWD: folder, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout?.on("data", (text) => {
      this.#output += text;
    });
    this.process.stderr?.on("data", (text) => {
      this.#errors += text;
    });
    this.#exit = once(this.process, "close");
    onTestFinished(async () => {
      this.process.kill("SIGKILL");
      await this.#exit;
    });
  }

  get output(): string {
    return this.#output;
  }

  get errors(): string {
    return this.#errors;
  }

  /** Resolves with the first group of a line of the output; rejects when the process ends without it. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const [, found] = pattern.exec(this.#output) ?? [];
      if (found !== undefined) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`ended without ${pattern}:\n${this.#output}${this.#errors}`);
      }
      await Promise.race([once(this.process.stdout ?? this.process, "data"), this.#exit]);
    }
  }

  /** The exit code, or the signal that ended it. */
  async exit(): Promise<unknown> {
    const [code, signal] = await this.#exit;
    return code ?? signal;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}
