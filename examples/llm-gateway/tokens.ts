import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** Beyond it, nobody waits for an exact count: a repetitive text of 50 kB takes seconds. In characters. */
const LONGEST = 50_000;
const PATIENCE_MS = 10_000;

/** About four characters a token: at once, and good enough to hold by. */
export function roughly(text: string): number {
  return Math.ceil(text.length / 4);
}

/** Counts the tokens of texts, in a thread of its own: the tokenizer would hold up all requests. */
export class TokenCounter {
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Each as the newest models of OpenAI count; those of others are near. */
  count(texts: readonly string[]): Promise<readonly number[]> {
    const counted = this.#last.then(() => this.#ask(texts)).catch(() => texts.map(roughly));
    this.#last = counted;
    return counted;
  }

  async stop(): Promise<void> {
    await this.#last;
    await this.#worker?.terminate();
  }

  async #ask(texts: readonly string[]): Promise<readonly number[]> {
    this.#worker ??= new Worker(new URL("token-worker.ts", import.meta.url));
    const worker = this.#worker;
    worker.postMessage(texts.map((text) => text.slice(0, LONGEST)));
    try {
      const [counts] = (await once(worker, "message", { signal: AbortSignal.timeout(PATIENCE_MS) })) as [number[]];
      return texts.map((text, i) => (counts[i] ?? 0) + roughly(text.slice(LONGEST)));
    } catch (error) {
      this.#worker = undefined; // the next one has nothing to wait for
      await worker.terminate();
      throw error;
    }
  }
}
