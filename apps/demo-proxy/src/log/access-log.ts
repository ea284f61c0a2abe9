import type { AccessLog } from "../proxy/access-entry.ts";
import type { Log } from "./logger.ts";

/** One line for every request. */
export function accessLog(log: Log): AccessLog {
  return ({ durationMs, ...entry }) => {
    const rounded = Math.round(durationMs * 100) / 100;
    const why = entry.trouble?.code ?? (entry.cut && `no room left in ${entry.cut}`);
    const cause = why === undefined ? "" : ` (${why})`;
    const words = `${entry.method} ${entry.path} ${entry.status}${cause}`;
    log.info({ event: "request", ...entry, durationMs: rounded }, words);
  };
}
