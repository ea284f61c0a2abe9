import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * A shell that outlives us, however we end: once its input closes it ends the process that it was told of last, and deletes
 * the folder. An exit handler would not run after SIGKILL. What does not end at the signal, or is stopped and cannot, is
 * killed.
 */
const SCRIPT = `
trap '' INT TERM HUP
target=0
while read -r line; do target=$line; done
if [ "$target" -ne 0 ]; then
  kill -s "$2" -- "$target" 2>/dev/null
  for attempt in $(seq 50); do kill -s 0 -- "$target" 2>/dev/null || break; sleep 0.1; done
  kill -s KILL -- "$target" 2>/dev/null
fi
if [ -n "$1" ]; then rm -rf "$1"; fi
`;

export interface ReaperOptions {
  /** Deleted in the end. @default none */
  readonly folder?: string;
  /** What ends the process. @default "QUIT" */
  readonly signal?: "QUIT" | "KILL";
}

export interface Reaper {
  /** The process that runs now, or a whole group of them by its negative id, or undefined for none. */
  watch(pid: number | undefined): void;
  /** Ends it and deletes the folder now. */
  reap(): Promise<void>;
}

export function startReaper({ folder = "", signal = "QUIT" }: ReaperOptions): Reaper {
  // In a group of its own: Ctrl-C in a terminal goes to the whole group.
  const shell = spawn("sh", ["-c", SCRIPT, "sh", folder, signal], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  const { stdin } = shell;
  shell.unref();
  if ("unref" in stdin && typeof stdin.unref === "function") stdin.unref();
  return {
    watch(pid = 0) {
      if (stdin.writable) stdin.write(`${pid}\n`);
    },
    async reap() {
      if (shell.exitCode !== null || shell.signalCode !== null) return;
      const exit = once(shell, "exit");
      shell.ref();
      stdin.end();
      await exit;
    },
  };
}
