import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";

/** A line of the proxy's log. */
export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function logLines(text: string): LogLine[] {
  return text.split("\n").flatMap((line) => (line.startsWith("{") && line.endsWith("}") ? [JSON.parse(line)] : []));
}

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

  /** The whole lines of JSON that it has written: what is as it should be on stdout, the rest on stderr. */
  get log(): readonly LogLine[] {
    return logLines(this.#output);
  }

  get problems(): readonly LogLine[] {
    return logLines(this.#errors);
  }

  /** Resolves with the first line of the log that tells this event; rejects when the process ends without it. */
  async event(event: string): Promise<LogLine> {
    const line = new RegExp(`^(\\{.*"event":"${event}".*\\})$`, "m");
    return JSON.parse(await this.line(line)) as LogLine;
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
