import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface ChildOptions {
  /** Options of Node for it, besides our own. */
  readonly node?: readonly string[];
  readonly args?: readonly string[];
}

/**
 * Runs a script of this folder in a process of its own: V8 specializes code by what a process has run so far, so that
 * two benchmarks in one process would measure each other.
 */
export class Child {
  readonly #script: string;
  readonly #process: ChildProcess;

  /** @param script Relative to this folder. */
  constructor(script: string, options: ChildOptions = {}) {
    const { node = [], args = [] } = options;
    this.#script = script;
    this.#process = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
      execArgv: [...process.execArgv, ...node],
    });
  }

  /** Sends a message, if there is one, and answers the script's next: of type `T`, as both sides agree. */
  async ask<T>(message?: object): Promise<T> {
    const gone = new AbortController();
    const answer = once(this.#process, "message", { signal: gone.signal });
    const exit = once(this.#process, "exit", { signal: gone.signal }).then(([code, signal]) => {
      throw new Error(`${this.#script} ended without an answer: ${signal ?? `exit code ${code}`}`);
    });
    if (message !== undefined) this.#process.send(message);
    try {
      const [received] = await Promise.race([answer, exit]);
      return received as T;
    } finally {
      gone.abort();
      await Promise.allSettled([answer, exit]);
    }
  }

  async ended(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, "exit");
  }

  async stop(): Promise<void> {
    this.#process.kill();
    await this.ended();
  }
}

/** What a script has to say that answers once and ends by itself, after it has put its things away. */
export async function runChild<T>(script: string, options: ChildOptions = {}): Promise<T> {
  const child = new Child(script, options);
  const received = await child.ask<T>();
  await child.ended();
  return received;
}

/** In a child: answers whoever asked. */
export function answer(message: object): void {
  if (process.send === undefined) console.log(JSON.stringify(message, undefined, 2));
  else process.send(message);
}
