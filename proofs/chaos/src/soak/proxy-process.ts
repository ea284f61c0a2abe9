import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Usage } from "@usage/counter-core";
import { type Instance, type InstanceExit, startInstance } from "@usage/test-servers";
import { HeapProbe } from "./heap-probe.ts";
import type { Sample } from "./samples.ts";

const START_TIMEOUT_MS = 30_000;
const OURS = new URL(import.meta.resolve("@usage/demo-proxy/src/main.ts"));

export interface ProxyProcessOptions {
  /** Empty; the configuration is written there. */
  readonly folder: string;
  readonly configuration: string;
  /** How far its clock is ahead of the machine's. */
  readonly clockAheadMs: number;
  /** The proxy's main file. @default this checkout's */
  readonly main?: URL | undefined;
}

/** The demo proxy as a process of its own, on a configuration file. */
export class ProxyProcess {
  readonly url: URL;
  readonly admin: URL;
  readonly #instance: Instance;
  readonly #file: string;
  readonly #heap: HeapProbe;

  private constructor(
    instance: Instance,
    file: string,
    urls: { readonly proxy: string; readonly admin: string },
    heap: HeapProbe,
  ) {
    this.#instance = instance;
    this.#file = file;
    this.url = new URL(urls.proxy);
    this.admin = new URL(urls.admin);
    this.#heap = heap;
  }

  static async start(options: ProxyProcessOptions): Promise<ProxyProcess> {
    const { folder, configuration, clockAheadMs, main = OURS } = options;
    const file = join(folder, "proxy.yaml");
    await writeFile(file, configuration);
    const instance = startInstance(main, {
      args: ["--config", file],
      env: {
        NODE_OPTIONS: `--inspect=127.0.0.1:0 --import=${new URL("clock-ahead.ts", import.meta.url).href}`,
        SOAK_CLOCK_AHEAD_MS: String(clockAheadMs),
        NO_COLOR: "1",
      },
    });
    const listening = await found(instance, /^(\{.*"event":"listening".*\})$/m);
    const debuggerUrl = await found(instance, /^Debugger listening on (ws:\S+)$/m);
    const urls = JSON.parse(listening) as { readonly proxy: string; readonly admin: string };
    return new ProxyProcess(instance, file, urls, await HeapProbe.connect(debuggerUrl));
  }

  /** It takes the new configuration over by itself. */
  async configure(configuration: string): Promise<void> {
    await writeFile(this.#file, configuration);
  }

  async sample(atMs: number): Promise<Sample> {
    const heapBytes = await this.#heap.usedAfterCollection();
    const text = await this.#get("/metrics").then((response) => response.text());
    const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
    return { atMs, rssBytes: value("process_resident_memory_bytes"), heapBytes, openFiles: value("process_open_fds") };
  }

  /** What `GET /api/usage` answers. */
  async usage(): Promise<{
    readonly period: { readonly key: string };
    readonly backends: readonly {
      readonly name: string;
      readonly usage: Partial<Usage>;
      readonly limits: Partial<Usage>;
    }[];
  }> {
    const response = await this.#get("/api/usage");
    return (await response.json()) as Awaited<ReturnType<ProxyProcess["usage"]>>;
  }

  async flush(): Promise<void> {
    await this.#get("/api/flush", { method: "POST" });
  }

  /** How many lines of its log tell an event. */
  logged(event: string): number {
    return this.#instance.output().split(`"event":"${event}"`).length - 1;
  }

  /** The lines of its log that are warnings or errors, but for Redis that is away. */
  complaints(): readonly string[] {
    return this.#instance
      .output()
      .split("\n")
      .filter((line) => /"level":"(warn|error|fatal)"/.test(line) && !line.includes('"event":"redis-away"'));
  }

  /** SIGTERM. */
  async stop(): Promise<InstanceExit> {
    await this.#heap.close();
    return this.#instance.kill("SIGTERM");
  }

  async kill(): Promise<void> {
    await this.#instance.kill();
  }

  async #get(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(new URL(path, this.admin), init);
    if (!response.ok) throw new Error(`${path} of a proxy answers ${response.status}: ${await response.text()}`);
    return response;
  }
}

async function found(instance: Instance, pattern: RegExp): Promise<string> {
  for (const deadline = Date.now() + START_TIMEOUT_MS; ; await sleep(20)) {
    const [, text] = pattern.exec(instance.output()) ?? [];
    if (text !== undefined) return text;
    if (Date.now() < deadline) continue;
    await instance.kill();
    throw new Error(`a proxy does not start within ${START_TIMEOUT_MS} ms: ${instance.output()}`);
  }
}
