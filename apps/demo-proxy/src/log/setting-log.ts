import type { KnownChange } from "../process/settings.ts";
import type { Log } from "./logger.ts";

/** Writes a line for each setting that is changed by API, or taken back. To be called for each. */
export function settingLog(log: Log): (change: KnownChange) => void {
  return ({ createdAt, value, before, ...change }) => {
    const { backend, setting, revision, by, reason } = change;
    const what = value === undefined ? "from the file again" : `by API ${JSON.stringify(value)}`;
    const why = reason === undefined ? "" : `; ${reason}`;
    const at = new Date(createdAt).toISOString();
    const line = `${setting} of ${JSON.stringify(backend)}: ${what} (revision ${revision}, ${by ?? "somebody"}, ${at}${why})`;
    log.info({ event: "setting", ...change, value: value ?? null, at }, line);
  };
}
