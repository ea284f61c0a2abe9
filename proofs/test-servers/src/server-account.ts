import { spawnSync } from "node:child_process";

/** Whom a server runs as: the options of `spawn` that say so, empty for ourselves. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** Ourselves, or as root one of `names`: some servers refuse root, and none needs it. */
export function serverAccount(...names: readonly string[]): Account {
  if (process.getuid?.() !== 0) return {};
  for (const name of names) {
    const uid = idOf("-u", name);
    const gid = idOf("-g", name);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error(`root needs another account to run a server as: none of ${names.join(", ")} exists`);
}

function idOf(flag: string, name: string): number | undefined {
  const { status, stdout } = spawnSync("id", [flag, name], { encoding: "utf8" });
  return status === 0 ? Number(stdout) : undefined;
}
