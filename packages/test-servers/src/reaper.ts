import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * A shell that outlives us, however we end: once its input closes it ends the server that it was told of last, and deletes
 * the folder. An exit handler would not run after SIGKILL.
 */
const SCRIPT = `
trap '' INT TERM HUP
pid=0
while read -r line; do pid=$line; done
if [ "$pid" -gt 0 ]; then
  kill -QUIT "$pid" 2>/dev/null
  for attempt in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
fi
rm -rf "$1"
`;

export interface Reaper {
  /** The server that runs now, or undefined for none. */
  watch(pid: number | undefined): void;
  /** Ends the server and deletes the folder now. */
  reap(): Promise<void>;
}

export function startReaper(folder: string): Reaper {
  // In a group of its own: Ctrl-C in a terminal goes to the whole group.
  const shell = spawn("sh", ["-c", SCRIPT, "sh", folder], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  const { stdin } = shell;
  shell.unref();
  if ("unref" in stdin && typeof stdin.unref === "function") stdin.unref();
  return {
    watch(pid = 0) {
      stdin.write(`${pid}\n`);
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
