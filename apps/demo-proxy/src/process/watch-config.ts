import { stat } from "node:fs/promises";

const POLL_MS = 500;

/** What differs when a file was written or replaced. */
export type Fingerprint = string;

/** Empty when there is no such file. */
export async function fingerprintOf(file: string): Promise<Fingerprint> {
  try {
    const { mtimeMs, size, ino, dev } = await stat(file);
    return [mtimeMs, size, ino, dev].join(" ");
  } catch {
    return "";
  }
}

/**
 * Calls `changed` when the file is no longer the one that was read, and on SIGHUP. It polls: unlike events of the file
 * system, that also works where the file is replaced, mounted or a link, as the ones of orchestrators are. Returns what ends
 * it.
 */
export function watchConfig(
  file: string,
  read: Fingerprint,
  changed: (reason: "SIGHUP" | "the file changed") => void,
): () => void {
  let known = read;
  let seen = read;
  const poll = async (): Promise<void> => {
    const current = await fingerprintOf(file);
    // Editors write in several steps: it has to be the same twice. A file that is gone changes nothing.
    if (current === seen && current !== known && current !== "") {
      known = current;
      changed("the file changed");
    }
    seen = current;
  };
  const timer = setInterval(poll, POLL_MS);
  timer.unref();
  const hangUp = (): void => changed("SIGHUP");
  process.on("SIGHUP", hangUp);
  return () => {
    clearInterval(timer);
    process.off("SIGHUP", hangUp);
  };
}
