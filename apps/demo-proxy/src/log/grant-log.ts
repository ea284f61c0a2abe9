import type { MadeGrant } from "../admin/api/grants.ts";
import type { Log } from "./logger.ts";

/** Writes a line for each grant that is new. To be called for each. */
export function grantLog(log: Log): (grant: MadeGrant) => void {
  return (grant) => {
    const { backend, period, id, amounts, reason, by } = grant;
    const list = Object.entries(amounts).map(([dimension, amount]) => `${dimension} ${amount}`);
    const who = by === undefined ? "" : ` by ${by}`;
    const line = `granted to ${JSON.stringify(backend)} in ${period}${who}: ${list.join(", ")}; ${reason} (${id})`;
    log.info({ event: "grant", ...grant }, line);
  };
}
