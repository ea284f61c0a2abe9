import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import type { UsageReport } from "../src/admin/api/usage/usage-report.ts";

const PRELOADED = [
  new URL("../../../scripts/direct-imports.mjs", import.meta.url),
  new URL("./end-with-parent.ts", import.meta.url),
];
const MAIN = new URL("../src/main.ts", import.meta.url).pathname;

export interface ProxyProcessOptions {
  readonly name: string;
  /** Where its configuration is, `NAME.yaml`, and where its log goes, `NAME.log`. */
  readonly folder: string;
  /** Ends it while it starts. */
  readonly signal: AbortSignal;
}

/** A proxy in a process of its own, as anybody would start it. */
export class ProxyProcess {
  readonly name: string;
  readonly url: URL;
  readonly admin: URL;
  /** Rejects when it ends without having been told to. */
  readonly unexpectedEnd: Promise<never>;
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  #isWanted = true;

  private constructor(name: string, child: ChildProcess, { proxy, admin }: { proxy: string; admin: string }) {
    this.name = name;
    this.url = new URL(proxy);
    this.admin = new URL(admin);
    this.#child = child;
    this.#exit = child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve([]);
    this.unexpectedEnd = this.#exit.then(() => {
      if (this.#isWanted) throw new Error(`the proxy ${name} ended by itself; see its log`);
      return new Promise<never>(() => {});
    });
    // Whoever waits for it is told.
    this.unexpectedEnd.catch(() => {});
  }

  /** @throws Error with what it says when it does not start. */
  static async start({ name, folder, signal }: ProxyProcessOptions): Promise<ProxyProcess> {
    signal.throwIfAborted();
    const config = join(folder, `${name}.yaml`);
    const imports = PRELOADED.map(({ href }) => `--import=${href}`);
    const args = ["--conditions=@usage/source", ...imports, MAIN, "--config", config];
    const child = spawn(process.execPath, args, {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // In a group of its own: Ctrl-C in a terminal goes to the whole group, and the demo ends its proxies itself.
      detached: true,
    });
    const kill = (): void => void child.kill("SIGKILL");
    signal.addEventListener("abort", kill);
    try {
      return new ProxyProcess(name, child, await listening(name, child, join(folder, `${name}.log`)));
    } catch (error) {
      kill();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async usage(): Promise<UsageReport> {
    return (await this.ask("/api/usage")) as UsageReport;
  }

  async ask(path: string, method = "GET"): Promise<unknown> {
    const response = await fetch(new URL(path, this.admin), { method });
    if (!response.ok) throw new Error(`${method} ${path} of the proxy ${this.name}: ${await response.text()}`);
    return response.json();
  }

  /** `kill -9`: nothing is stored any more, nothing shared. */
  async kill(): Promise<void> {
    this.#isWanted = false;
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  /** Ends it in order. @throws Error when it says that not everything is stored. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    this.#child.kill("SIGTERM");
    const [code, signal] = await this.#exit;
    if (code !== 0) throw new Error(`the proxy ${this.name} ended with ${code ?? signal}; see its log`);
  }
}

/** Its addresses, once it listens. What it logs goes to a file. */
async function listening(
  name: string,
  child: ChildProcess,
  logFile: string,
): Promise<{ proxy: string; admin: string }> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("it has no output");
  const file = createWriteStream(logFile, { flags: "a" });
  let [output, errors] = ["", ""];
  stdout.pipe(file, { end: false });
  stderr.pipe(file, { end: false });
  stdout.on("data", (text) => {
    output += text;
  });
  stderr.on("data", (text) => {
    errors += text;
  });
  const exit = once(child, "exit");
  for (;;) {
    const [line] = /^\{.*"event":"listening".*\}$/m.exec(output) ?? [];
    if (line !== undefined) return JSON.parse(line);
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the proxy ${name}: ${errors}`);
    await Promise.race([once(stdout, "data"), exit]);
  }
}
