import type { ProxyConfig } from "../config/proxy-config.ts";
import { messageOf } from "../log/message-of.ts";
import { type ConfigChange, describeChange } from "./config-change.ts";
import type { LiveConfig } from "./live-config.ts";
import { type Fingerprint, watchConfig } from "./watch-config.ts";

export interface ReloadOptions {
  /** An absolute path. */
  readonly file: string;
  /** Of the file when the configuration in force was read from it. */
  readonly read: Fingerprint;
  readonly load: () => Promise<ProxyConfig>;
  readonly live: LiveConfig;
  /** One line for what was taken over. */
  readonly log: (line: string, change: ConfigChange) => void;
  /** One line, or several, for what was refused. */
  readonly warn: (line: string) => void;
}

/** Takes the configuration over again whenever its file changes, and on SIGHUP. Returns what ends that. */
export function reloadOnChange({ file, read, load, live, log, warn }: ReloadOptions): () => void {
  return watchConfig(file, read, (reason) => {
    live.take(load).then(
      (change) => log(`${reason}: ${describeChange(change)}`, change),
      (error: unknown) => warn(`${reason}: the configuration stays as it was: ${messageOf(error)}`),
    );
  });
}
