import { type ChildProcess, type Serializable, spawn } from "node:child_process";
import { on, once } from "node:events";
import { fileURLToPath } from "node:url";
import { startReaper } from "./reaper.ts";

export interface InstanceOptions {
  /** @default none */
  readonly args?: readonly string[];
  /** Besides ours. @default none */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended: one of the two is null. */
export interface InstanceExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of its own, which talks to us by `process.send` and `process.on("message")`. */
export interface Instance {
  /** Resolves when it ends, however it does. */
  readonly exited: Promise<InstanceExit>;
  /** What it has written so far, errors included. */
  output(): string;
  /** Anything that can be cloned. Rejects when it has ended. */
  send(message: Serializable): Promise<void>;
  /** Its next message that was not asked for yet. Rejects with its output when it ends without one. */
  next(): Promise<unknown>;
  /** Sends a message, and answers its next one. */
  ask(message: Serializable): Promise<unknown>;
  /** SIGKILL unless told otherwise, and waits until it has ended. Nothing happens when it has. */
  kill(signal?: NodeJS.Signals): Promise<InstanceExit>;
  /** SIGSTOP: it does nothing, and its connections stay open. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

/** Runs a TypeScript file from the sources of the workspace. Whatever becomes of this process, the instance ends with it. */
export function startInstance(entry: URL, { args = [], env = {} }: InstanceOptions = {}): Instance {
  const child = spawn(process.execPath, ["--conditions=@usage/source", fileURLToPath(entry), ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    serialization: "advanced",
    // In a group of its own, so that one signal reaches its children too.
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${process.execPath} cannot be run`);
  const reaper = startReaper({ signal: "KILL" });
  reaper.watch(-pid);
  const output = outputOf(child);
  const exited = once(child, "exit").then(async ([code, signal]): Promise<InstanceExit> => {
    reaper.watch(undefined);
    await reaper.reap();
    return { code, signal };
  });
  const messages = on(child, "message", { close: ["disconnect"] });
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (!isRunning()) throw new Error(`the instance of ${entry} has ended`);
    process.kill(-pid, signal);
  };

  const send = (message: Serializable): Promise<void> =>
    new Promise((resolve, reject) => {
      child.send(message, (error) => (error === null ? resolve() : reject(error)));
    });
  const next = async (): Promise<unknown> => {
    const { done, value } = await messages.next();
    if (done !== true) return value[0];
    const { code, signal } = await exited;
    throw new Error(`the instance of ${entry} ended by ${signal ?? `code ${code}`}: ${output()}`);
  };

  return {
    exited,
    output,
    send,
    next,
    async ask(message) {
      await send(message);
      return next();
    },
    async kill(signal = "SIGKILL") {
      if (isRunning()) signalGroup(signal);
      return exited;
    },
    pause: () => signalGroup("SIGSTOP"),
    resume: () => signalGroup("SIGCONT"),
  };
}

function outputOf({ stdout, stderr }: ChildProcess): () => string {
  let text = "";
  for (const stream of [stdout, stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  return () => text;
}
