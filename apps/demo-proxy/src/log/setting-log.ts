import type { KnownChange } from "../process/setting-subject.ts";
import type { Log } from "./logger.ts";

/** Writes a line for each setting that is changed by API, or taken back. To be called for each. */
export function settingLog(log: Log): (change: KnownChange) => void {
  return ({ createdAt, value, before, subject, ...change }) => {
    const { setting, revision, by, reason } = change;
    const what = value === undefined ? "from the file again" : `by API ${JSON.stringify(value)}`;
    const why = reason === undefined ? "" : `; ${reason}`;
    const at = new Date(createdAt).toISOString();
    const whose = `${subject.kind === "backend" ? "" : `the ${subject.kind} `}${JSON.stringify(subject.name)}`;
    const line = `${setting} of ${whose}: ${what} (revision ${revision}, ${by ?? "somebody"}, ${at}${why})`;
    log.info({ event: "setting", [subject.kind]: subject.name, ...change, value: value ?? null, at }, line);
  };
}
