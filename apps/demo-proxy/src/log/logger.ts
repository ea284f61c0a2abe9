import { type Logger, pino } from "pino";
import { humanLine } from "./human-line.ts";
import type { LogLevel } from "./log-level.ts";

/** Each line has an `event` by which machines know it, and a message for people that says the same. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;

export interface LogStream {
  write(text: string): unknown;
  /** Whether people read it. */
  readonly isTTY?: boolean;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly out: LogStream;
  /** For warnings and errors. */
  readonly err: LogStream;
  /** For what people read. @default not */
  readonly colors?: boolean;
}

const WARN = 40;

/** One line of JSON per event; where a terminal is written to, one for people. */
export function createLogger({ level, out, err, colors = false }: LoggerOptions): Log {
  const destination = {
    // Makes pino tell the level of the line that comes.
    [Symbol.for("pino.metadata")]: true as const,
    lastLevel: 0,
    write(line: string): void {
      const stream = this.lastLevel >= WARN ? err : out;
      stream.write(stream.isTTY ? humanLine(JSON.parse(line), colors) : line);
    },
  };
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters }, destination);
}
