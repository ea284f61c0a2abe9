import { quantile } from "./rounds.ts";

/** What one benchmark found, ready to be sent from the process that measured it. */
export interface Section {
  readonly title: string;
  /** How it was measured and what that leaves out, one paragraph each. */
  readonly method: readonly string[];
  readonly tables: readonly Table[];
  /** SVG, by the name of the file beside the page. */
  readonly plots?: Readonly<Record<string, string>>;
}

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface Row {
  readonly subject: string;
  readonly unit: string;
  /** One per round. */
  readonly values: readonly number[];
  /** The same rounds as a multiple of a peer's. */
  readonly ratio?: { readonly to: string; readonly values: readonly number[] };
  readonly target?: Target;
}

/** What the median has to be. */
export interface Target {
  readonly of: "value" | "ratio";
  readonly bound: "at most" | "at least";
  readonly value: number;
}

export function sectionText({ title, method, tables }: Section): string {
  const parts = tables.map((table) => `### ${table.title}\n\n${tableText(table)}`);
  return [`## ${title}`, ...method, ...parts].join("\n\n");
}

const HEAD = ["", "median", "p10 .. p90", "ratio, median", "p10 .. p90", "target", "met"];

function tableText({ rows }: Table): string {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)));
  const text = (line: readonly string[]): string =>
    `| ${widths.map((width, column) => (line[column] ?? "").padEnd(width)).join(" | ")} |`;
  const [head, ...body] = lines.map(text);
  return [head, `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...body].join("\n");
}

function cells(row: Row): string[] {
  const { subject, unit, values, ratio } = row;
  const met = isMet(row);
  return [
    subject,
    `${number(quantile(values, 0.5))} ${unit}`,
    range(values),
    ratio === undefined ? "" : `${number(quantile(ratio.values, 0.5))}x ${ratio.to}`,
    ratio === undefined ? "" : range(ratio.values),
    targetText(row),
    met === undefined ? "" : met ? "yes" : "**no**",
  ];
}

function isMet({ values, ratio, target }: Row): boolean | undefined {
  if (target === undefined) return undefined;
  const median = quantile(target.of === "value" ? values : (ratio?.values ?? []), 0.5);
  return target.bound === "at most" ? median <= target.value : median >= target.value;
}

function targetText({ unit, target }: Row): string {
  return target === undefined ? "" : `${target.bound} ${target.value}${target.of === "ratio" ? "x" : ` ${unit}`}`;
}

function range(values: readonly number[]): string {
  return values.length < 2 ? "" : `${number(quantile(values, 0.1))} .. ${number(quantile(values, 0.9))}`;
}

/** Three significant digits, and all of those before the point. */
function number(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return value === 0 ? "0" : value.toPrecision(3);
}
