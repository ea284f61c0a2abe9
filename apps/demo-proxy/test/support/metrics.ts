import { expect } from "vitest";
import type { Address } from "../../src/config/address.ts";
import { call } from "./call.ts";

/** What `/metrics` answers, as a scraper reads it. */
export interface Scrape {
  readonly text: string;
  /** The metric's value with exactly these labels; undefined when there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** Of all samples, what is before the labels. */
  readonly names: ReadonlySet<string>;
}

const SAMPLE = /^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)$/;
const LABEL = /(?<label>[a-zA-Z_][a-zA-Z0-9_]*)="(?<text>(?:\\[\\n"]|[^\\\n"])*)"(?:,|$)/y;

export async function scrape(admin: Address): Promise<Scrape> {
  const { status, headers, text } = await call(admin, "/metrics");
  expect([status, headers["content-type"]]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  return parseMetrics(text);
}

/** Reads the text format strictly: what is neither a comment nor a sample, or is there twice, is an error. */
export function parseMetrics(text: string): Scrape {
  const values = new Map<string, number>();
  const names = new Set<string>();
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.slice(0, -1).split("\n")) {
    if (/^# (HELP|TYPE) /.test(line)) continue;
    const { name = "", labels = "", value = "" } = SAMPLE.exec(line)?.groups ?? {};
    if (name === "") throw new Error(`not a sample: ${line}`);
    const key = keyOf(name, labelsIn(labels));
    if (values.has(key)) throw new Error(`twice: ${line}`);
    values.set(key, value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value));
    names.add(name);
  }
  return { text, names, value: (name, labels = {}) => values.get(keyOf(name, labels)) };
}

function labelsIn(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const { label = "", text: escaped = "" } = LABEL.exec(text)?.groups ?? {};
    if (label === "") throw new Error(`not labels: ${text}`);
    labels[label] = escaped.replace(/\\(.)/g, (_, sign) => (sign === "n" ? "\n" : sign));
  }
  return labels;
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
