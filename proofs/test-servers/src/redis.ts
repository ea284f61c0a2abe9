import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import type { Program } from "./program.ts";
import { startReaper } from "./reaper.ts";
import { type RedisVersion, redisBinary } from "./redis-binary.ts";
import { redisCommand, redisInfo } from "./redis-command.ts";
import { RedisProcess } from "./redis-process.ts";
import { until } from "./until.ts";

/** A node of a cluster talks to the others on a second port, this far from the first. */
const BUS_DISTANCE = 10_000;

const PASSWORDS: ReadonlySet<string> = new Set(["requirepass", "masterauth"]);

export interface RedisOptions {
  /**
   * Lines of its `redis.conf`, such as `{ appendonly: "yes", requirepass: "secret", save: "60 1" }`, as they are written there;
   * only passwords need no quotes.
   *
   * @default nothing is saved to disk, and there is no password
   */
  readonly config?: Readonly<Record<string, string>>;
  /** Whether it is a node of a cluster, which has no slots yet. @default false */
  readonly cluster?: boolean;
  /** Whether it is a Sentinel, which `config` tells whom to watch. @default false */
  readonly sentinel?: boolean;
  /** Takes a few seconds the first time, and a Debian machine. @default the one on PATH, or the machine's Debian package */
  readonly version?: RedisVersion;
}

/** What a Redis held at one moment, in the form of its RDB file. */
export type RedisSnapshot = Uint8Array;

/** A Redis (or Valkey) server of one test's own. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Such as `Redis 7.0.15` or `Valkey 8.1.1`. */
  readonly version: string;
  /** Sends a command on a connection of its own. */
  command(command: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** SIGKILL, as if the machine had lost it. Nothing happens when it does not run. */
  kill(): Promise<void>;
  /** Starts it again on the same port, with what it had on disk. */
  start(): Promise<void>;
  /** Starts it again on the same port with no data; kills it first if it runs. */
  startEmpty(): Promise<void>;
  /** Starts it again on the same port with the data of a snapshot; kills it first if it runs. */
  startFrom(snapshot: RedisSnapshot): Promise<void>;
  /** What it holds now. */
  snapshot(): Promise<RedisSnapshot>;
  /** SIGSTOP: connections stay open, and nothing is answered. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends it, and deletes its data. */
  stop(): Promise<void>;
}

/**
 * Starts Redis on a free port of 127.0.0.1 with data of its own. Whatever becomes of this process, the server ends with it.
 *
 * @throws Error with the line that installs Redis when there is none.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { config = {}, cluster = false, sentinel = false } = options;
  const program = await redisBinary(options.version);
  const version = versionOf(program);
  const port = await freePort(...(cluster ? [BUS_DISTANCE] : []));
  const home = mkdtempSync(join(tmpdir(), "usage-redis-"));
  const reaper = startReaper({ folder: home, signal: "KILL" });
  try {
    const url = `redis://${credentials(config)}127.0.0.1:${port}`;
    const data = join(home, "data");
    await mkdir(data);
    await writeFile(join(home, "redis.conf"), configuration(home, port, cluster, config));
    const server = new RedisProcess({ program, home, url, reaper, sentinel });
    await server.start();
    const empty = async (): Promise<void> => {
      await server.kill();
      await rm(data, { recursive: true });
      await mkdir(data);
    };
    return {
      url,
      port,
      version,
      command: (command, ...args) => redisCommand(url, command, ...args),
      kill: () => server.kill(),
      start: () => server.start(),
      async startEmpty() {
        await empty();
        await server.start();
      },
      async startFrom(snapshot) {
        await empty();
        await writeFile(join(data, "dump.rdb"), snapshot);
        // With it, Redis would look for an append-only file, and for nothing else.
        await server.start("--appendonly", "no");
        if (config.appendonly === "yes") await appendFromNowOn(url);
      },
      async snapshot() {
        await redisCommand(url, "SAVE");
        return readFile(join(data, "dump.rdb"));
      },
      pause: () => server.signal("SIGSTOP"),
      resume: () => server.signal("SIGCONT"),
      stop: () => reaper.reap(),
    };
  } catch (error) {
    await reaper.reap();
    throw error;
  }
}

/** What it says of itself is `Redis server v=7.0.15 sha=...`. */
function versionOf({ path, args, env }: Program): string {
  const { stdout, stderr } = spawnSync(path, [...args, "--version"], {
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
  const [, product, version] = /^(\w+) server v=(\S+)/.exec(stdout ?? "") ?? [];
  if (product === undefined || version === undefined) throw new Error(`${path} --version says ${stdout}${stderr}`);
  return `${product} ${version}`;
}

function credentials({ requirepass }: Readonly<Record<string, string>>): string {
  return requirepass === undefined ? "" : `:${encodeURIComponent(requirepass)}@`;
}

function configuration(home: string, port: number, cluster: boolean, config: Readonly<Record<string, string>>): string {
  const lines: Record<string, string> = {
    bind: "127.0.0.1",
    port: String(port),
    dir: JSON.stringify(join(home, "data")),
    save: "",
    // A replica would wait five seconds, in case another one comes.
    "repl-diskless-sync-delay": "0",
    // Outside the data: a node without data is still the same node.
    ...(cluster ? { "cluster-enabled": "yes", "cluster-config-file": JSON.stringify(join(home, "nodes.conf")) } : {}),
    ...config,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name} ${value === "" || PASSWORDS.has(name) ? JSON.stringify(value) : value}\n`)
    .join("");
}

async function appendFromNowOn(url: string): Promise<void> {
  await redisCommand(url, "CONFIG", "SET", "appendonly", "yes");
  await until(
    async () => {
      const info = await redisInfo(url);
      return info.get("aof_rewrite_in_progress") === "0" && info.get("aof_rewrite_scheduled") === "0";
    },
    () => "the snapshot is in the append-only file",
  );
}
