import { styleText } from "node:util";

const STYLES = { warn: "yellow", error: "red" } as const;

/** A line of the log as people read it: the time of day, then the message, marked when something is wrong. */
export function humanLine(line: unknown, colors: boolean): string {
  if (typeof line !== "object" || line === null) return `${String(line)}\n`;
  const { time, level, msg } = line as Readonly<Record<string, unknown>>;
  const date = new Date(typeof time === "string" ? time : Number.NaN);
  const clock = Number.isNaN(date.getTime()) ? "--:--:--" : date.toTimeString().slice(0, 8);
  const style = level === "warn" || level === "error" ? STYLES[level] : undefined;
  const mark = style === undefined ? "" : `${level}: `;
  // What others named may hold what a terminal obeys.
  const message = `${mark}${printable(String(msg ?? ""))}`;
  if (!colors) return `${clock} ${message}\n`;
  const shown = style === undefined ? message : styleText(style, message, { validateStream: false });
  return `${styleText("dim", clock, { validateStream: false })} ${shown}\n`;
}

function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
