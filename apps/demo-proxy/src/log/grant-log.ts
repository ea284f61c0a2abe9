import type { MadeGrant } from "../admin/api/grants/make-grant.ts";
import type { Log } from "./logger.ts";

/** Writes a line for each grant that is new. To be called for each. */
export function grantLog(log: Log): (grant: MadeGrant) => void {
  return (grant) => {
    const { backend, client, period, id, amounts, reason, by } = grant;
    const list = Object.entries(amounts).map(([dimension, amount]) => `${dimension} ${amount}`);
    const who = by === undefined ? "" : ` by ${by}`;
    const whom = client === undefined ? JSON.stringify(backend) : `the client ${JSON.stringify(client)}`;
    const line = `granted to ${whom} in ${period}${who}: ${list.join(", ")}; ${reason} (${id})`;
    log.info({ event: "grant", ...grant }, line);
  };
}
