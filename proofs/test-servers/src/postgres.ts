import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { postgresBinaries } from "./postgres-binaries.ts";
import { type Reaper, startReaper } from "./reaper.ts";
import { type Account, serverAccount } from "./server-account.ts";

const READY_TIMEOUT_MS = 60_000;

/** A Postgres server of one test's own. */
export interface PostgresServer {
  /** Of an empty database, as its superuser. */
  readonly url: string;
  /** Holds its data, and its socket. */
  readonly folder: string;
  /** What `postgres --version` says. */
  readonly version: string;
  /** SIGKILL to the server and all its processes, as if the machine had lost them. */
  kill(): Promise<void>;
  /** Starts it again, on the same data and port. */
  start(): Promise<void>;
  /** Ends it, and deletes its data. */
  stop(): Promise<void>;
}

/**
 * Starts Postgres on a free port of 127.0.0.1 with data of its own. Whatever becomes of this process, the server ends with
 * it.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const account = serverAccount("postgres", "nobody");
  const folder = mkdtempSync(join(tmpdir(), "usage-postgres-"));
  const reaper = startReaper({ folder });
  try {
    chmodSync(folder, 0o755);
    const bin = postgresBinaries(folder, account);
    const data = join(folder, "data");
    mkdirSync(data, { mode: 0o700 });
    if (account.uid !== undefined && account.gid !== undefined) chownSync(data, account.uid, account.gid);
    initialize(bin, data, account);
    const port = await freePort();
    const postmaster = new Postmaster({ bin, folder, data, port, account, reaper });
    await postmaster.start();
    return {
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      folder: data,
      version: spawnSync(join(bin, "postgres"), ["--version"], { ...account, encoding: "utf8" }).stdout.trim(),
      kill: () => postmaster.kill(),
      start: () => postmaster.start(),
      stop: () => reaper.reap(),
    };
  } catch (error) {
    await reaper.reap();
    throw error;
  }
}

interface PostmasterOptions {
  readonly bin: string;
  readonly folder: string;
  readonly data: string;
  readonly port: number;
  readonly account: Account;
  readonly reaper: Reaper;
}

class Postmaster {
  readonly #options: PostmasterOptions;
  #process: ChildProcess | undefined;

  constructor(options: PostmasterOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    // Right after a kill the old server's shared memory may still be in use for a moment.
    while (!(await this.#startOnce(deadline))) {
      if (Date.now() > deadline) throw new Error(`Postgres does not start: ${this.#log()}`);
      await sleep(200);
    }
  }

  async kill(): Promise<void> {
    const pid = this.#process?.pid;
    if (this.#process === undefined || pid === undefined) return;
    const exit = once(this.#process, "exit");
    this.#process.ref();
    const children = childrenOf(pid);
    // Its processes lead groups of their own: the group's kill alone would leave them to end when they notice.
    for (const target of [-pid, ...children]) kill(target);
    await exit;
    this.#process = undefined;
    this.#options.reaper.watch(undefined);
  }

  async #startOnce(deadline: number): Promise<boolean> {
    const { bin, folder, data, port, account, reaper } = this.#options;
    const log = openSync(join(folder, "log"), "a");
    const settings = [
      "listen_addresses=127.0.0.1",
      `port=${port}`,
      `unix_socket_directories=${data}`,
      "fsync=off",
      "timezone=UTC",
    ];
    const postmaster = spawn(join(bin, "postgres"), ["-D", data, ...settings.flatMap((setting) => ["-c", setting])], {
      ...account,
      cwd: data,
      stdio: ["ignore", "ignore", log],
      detached: true,
    });
    closeSync(log);
    const { pid } = postmaster;
    if (pid === undefined) throw new Error(`Postgres cannot be run from ${bin}`);
    postmaster.unref();
    reaper.watch(pid);
    while (postmaster.exitCode === null && Date.now() < deadline) {
      if (isReady(data, pid)) {
        this.#process = postmaster;
        return true;
      }
      await sleep(20);
    }
    reaper.watch(undefined);
    kill(pid);
    return false;
  }

  #log(): string {
    return readFileSync(join(this.#options.folder, "log"), "utf8").slice(-2_000);
  }
}

function initialize(bin: string, data: string, account: Account): void {
  const { status, stderr } = spawnSync(
    join(bin, "initdb"),
    ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    { ...account, cwd: data, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
}

/** The eighth line of `postmaster.pid` is the state of the server whose id is on the first. */
function isReady(data: string, pid: number): boolean {
  try {
    const lines = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
    return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
  } catch {
    return false;
  }
}

function childrenOf(pid: number): readonly number[] {
  const { stdout } = spawnSync("pgrep", ["-P", String(pid)], { encoding: "utf8" });
  return (stdout ?? "").split("\n").filter(Boolean).map(Number);
}

function kill(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch {
    // It is gone already, which is what was wanted.
  }
}
