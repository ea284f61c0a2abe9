import { once } from "node:events";

/** Asks a process that runs with `--inspect` what of its heap is really in use, by the protocol of its debugger. */
export class HeapProbe {
  readonly #socket: WebSocket;
  #asked = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async connect(url: string): Promise<HeapProbe> {
    const socket = new WebSocket(url);
    await once(socket, "open");
    return new HeapProbe(socket);
  }

  async usedAfterCollection(): Promise<number> {
    await this.#ask("HeapProfiler.collectGarbage");
    const { usedSize } = await this.#ask("Runtime.getHeapUsage");
    return Number(usedSize);
  }

  /** A process with a debugger does not end. */
  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  #ask(method: string): Promise<Readonly<Record<string, unknown>>> {
    this.#asked += 1;
    const id = this.#asked;
    const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    const done = new AbortController();
    const { signal } = done;
    this.#socket.addEventListener(
      "message",
      ({ data }) => {
        const answer = JSON.parse(String(data)) as { readonly id?: number; readonly result?: Record<string, unknown> };
        if (answer.id !== id) return;
        done.abort();
        resolve(answer.result ?? {});
      },
      { signal },
    );
    this.#socket.addEventListener("close", () => reject(new Error("the process has gone")), { signal });
    this.#socket.send(JSON.stringify({ id, method }));
    return promise;
  }
}
