import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "./program.ts";
import type { Reaper } from "./reaper.ts";
import { redisInfo } from "./redis-command.ts";
import { until } from "./until.ts";

export interface RedisProcessOptions {
  readonly program: Program;
  /** Holds `redis.conf`; gets `log`. */
  readonly home: string;
  readonly url: string;
  readonly reaper: Reaper;
  /** Whether it watches other servers, and holds nothing. @default false */
  readonly sentinel?: boolean;
}

/** The process of a Redis server, one after the other. */
export class RedisProcess {
  readonly #options: RedisProcessOptions;
  #child: ChildProcess | undefined;

  constructor(options: RedisProcessOptions) {
    this.#options = options;
  }

  /** Resolves when it has loaded its data. `overrides` are settings as on its command line. */
  async start(...overrides: readonly string[]): Promise<void> {
    if (this.#child !== undefined) throw new Error(`the server at ${this.#options.url} runs already`);
    const child = this.#spawn(overrides);
    try {
      await until(
        () => this.#isReady(child),
        () => `Redis answers: ${this.#log()}`,
      );
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** SIGKILL to it and to a child that saves its data. Nothing happens when it does not run. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const exit = once(child, "exit");
    child.ref();
    this.signal("SIGKILL");
    await exit;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid === undefined) throw new Error(`the server at ${this.#options.url} does not run`);
    process.kill(-this.#child.pid, signal);
  }

  #spawn(overrides: readonly string[]): ChildProcess {
    const { program, home, reaper, sentinel = false } = this.#options;
    const mode = sentinel ? ["--sentinel"] : [];
    const log = openSync(join(home, "log"), "a");
    const child = spawn(program.path, [...program.args, join(home, "redis.conf"), ...mode, ...overrides], {
      cwd: home,
      env: { ...process.env, ...program.env },
      stdio: ["ignore", log, log],
      // In a group of its own, so that one signal reaches its children too.
      detached: true,
    });
    closeSync(log);
    if (child.pid === undefined) throw new Error(`Redis cannot be run from ${program.path}`);
    reaper.watch(-child.pid);
    child.unref();
    child.once("exit", () => {
      reaper.watch(undefined);
      this.#child = undefined;
    });
    this.#child = child;
    return child;
  }

  /** Asks who answers: another server may have taken the port. */
  async #isReady(child: ChildProcess): Promise<boolean> {
    if (this.#child !== child) throw new Error(`Redis does not start: ${this.#log()}`);
    try {
      const info = await redisInfo(this.#options.url);
      return info.get("process_id") === String(child.pid) && (info.get("loading") ?? "0") === "0";
    } catch {
      return false;
    }
  }

  #log(): string {
    return readFileSync(join(this.#options.home, "log"), "utf8").slice(-2_000);
  }
}
