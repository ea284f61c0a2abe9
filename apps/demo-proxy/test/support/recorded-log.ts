import type { LogLevel } from "../../src/log/log-level.ts";
import { createLogger, type Log } from "../../src/log/logger.ts";
import type { LogLine } from "./child.ts";

/** A log whose lines are kept, in order. */
export function recordedLog(level: LogLevel = "debug"): { readonly log: Log; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const stream = { write: (text: string) => lines.push(JSON.parse(text)) };
  return { log: createLogger({ level, out: stream, err: stream }), lines };
}
