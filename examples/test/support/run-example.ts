import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** An example in a process of its own, as a user starts it; killed after the test if it still runs. */
export class RunningExample {
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #output = "";
  #errors = "";

  /** `file` is relative to the examples. Its database and other files go to `folder`. */
  constructor(file: string, folder: string, env: Readonly<Record<string, string>> = {}) {
    const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
    this.#process = spawn(process.execPath, ["--conditions=@usage/source", path], {
      cwd: folder,
      env: { ...process.env, PORT: "0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process.stdout?.on("data", (text) => {
      this.#output += text;
    });
    this.#process.stderr?.on("data", (text) => {
      this.#errors += text;
    });
    this.#closed = once(this.#process, "close");
    onTestFinished(async () => {
      this.#process.kill("SIGKILL");
      await this.#closed;
    });
  }

  /** Where it listens, once it does. */
  async url(): Promise<string> {
    for (;;) {
      const [found] = /http:\/\/\S+/.exec(this.#output) ?? [];
      if (found !== undefined) return found;
      if (this.#process.exitCode !== null) throw new Error(`ended with:\n${this.#output}${this.#errors}`);
      await Promise.race([once(this.#process.stdout ?? this.#process, "data"), this.#closed]);
    }
  }

  terminate(): void {
    this.#process.kill("SIGTERM");
  }

  /** What it printed, once it has ended by itself and well; anything else rejects with its errors. */
  async ended(): Promise<string> {
    const [code, signal] = await this.#closed;
    if (code !== 0) throw new Error(`ended with ${code ?? signal}:\n${this.#output}${this.#errors}`);
    return this.#output;
  }
}
