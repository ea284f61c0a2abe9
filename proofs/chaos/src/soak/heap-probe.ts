import { once } from "node:events";

/** Asks a process that runs with `--inspect` what of its heap is really in use, by the protocol of its debugger. */
export class HeapProbe {
  readonly #socket: WebSocket;
  readonly #asked: PromiseWithResolvers<Readonly<Record<string, unknown>>>[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as {
        readonly id?: number;
        readonly result?: Record<string, unknown>;
      };
      // An event has no id.
      if (id !== undefined) this.#asked[id]?.resolve(result ?? {});
    });
    socket.addEventListener("close", () => {
      for (const { reject } of this.#asked) reject(new Error("the process has gone"));
    });
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
    const answer = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    const id = this.#asked.push(answer) - 1;
    this.#socket.send(JSON.stringify({ id, method }));
    return answer.promise;
  }
}
