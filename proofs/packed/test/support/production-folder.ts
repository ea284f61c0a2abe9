import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pnpm, run } from "./run.ts";
import { PROXY_NODES, ROOT } from "./workspace.ts";

/** Whoever runs the proxy, where the tests may choose: not the owner of its files. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** What is deployed, where nobody can write, and the Nodes to run it, which anybody can. */
export class ProductionFolder implements AsyncDisposable {
  readonly path: string;
  /** As `PROXY_NODES` has them, in its order. */
  readonly nodes: readonly string[];
  readonly #root: string;

  private constructor(root: string, path: string, nodes: readonly string[]) {
    this.#root = root;
    this.path = path;
    this.nodes = nodes;
  }

  static async make(): Promise<ProductionFolder> {
    const root = await mkdtemp(join(tmpdir(), "usage-production-"));
    await chmod(root, 0o755);
    const path = join(root, "usage-proxy");
    await pnpm(ROOT, "bundle", path);
    await forbidWriting(path);
    // The workspace may be in a home folder that others cannot enter.
    const nodes = PROXY_NODES.map((_, index) => join(root, `node-${index}`));
    await Promise.all(PROXY_NODES.map((node, index) => copyFile(node, nodes[index] ?? "")));
    return new ProductionFolder(root, path, nodes);
  }

  /** A folder with nothing but `proxy.yaml`, which belongs to the user that the proxy runs as. */
  async dataFolder(config: string): Promise<string> {
    const folder = await mkdtemp(join(this.#root, "data-"));
    await writeFile(join(folder, "proxy.yaml"), config);
    if (NOBODY !== undefined) await chown(folder, NOBODY.uid, NOBODY.gid);
    return folder;
  }

  /** Starts one of its programs in a data folder, with an empty environment. */
  start(node: string, program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Started {
    return new Started(
      spawn(node, [join(this.path, "app", `${program}.js`), ...args], { cwd, env, stdio: "pipe", ...NOBODY }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(this.#root, "chmod", "-R", "u+w", this.#root);
    await rm(this.#root, { recursive: true });
  }
}

/** A program of the folder that runs. */
export class Started {
  readonly process: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #output = "";
  #errors = "";

  constructor(child: ChildProcess) {
    this.process = child;
    child.stdout?.on("data", (text) => {
      this.#output += text;
    });
    child.stderr?.on("data", (text) => {
      this.#errors += text;
    });
    this.#closed = once(child, "close");
  }

  get output(): string {
    return this.#output;
  }

  get errors(): string {
    return this.#errors;
  }

  /** Where the proxy and its admin listener are, once they listen. */
  async addresses(): Promise<{ readonly proxy: string; readonly admin: string }> {
    const line = /^\{.*"event":"listening".*\}$/m;
    while (!line.test(this.#output)) {
      if (this.process.exitCode !== null) throw new Error(`ended before it listened:\n${this.#output}${this.#errors}`);
      await Promise.race([once(this.process.stdout ?? this.process, "data"), this.#closed]);
    }
    return JSON.parse(line.exec(this.#output)?.[0] ?? "");
  }

  /** The exit code, or the signal that ended it. */
  async exit(signal?: NodeJS.Signals): Promise<unknown> {
    if (signal !== undefined) this.process.kill(signal);
    const [code, endedBy] = await this.#closed;
    return code ?? endedBy;
  }
}

async function forbidWriting(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const isProgram = entry.name.startsWith("usage-proxy") && entry.name.endsWith(".js");
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() || isProgram ? 0o555 : 0o444);
  }
  await chmod(folder, 0o555);
}
