import type { StorageDimension, Usage } from "@usage/counter-core";
import { formatBytes } from "../src/config/bytes.ts";
import type { Answers } from "./traffic.ts";

export interface BackendView {
  readonly name: string;
  /** Whether it would still take a request. */
  readonly open: boolean;
  readonly usage: Usage;
  readonly limits: Partial<Usage>;
}

export interface DemoView {
  readonly elapsedMs: number;
  readonly period: string;
  readonly backends: readonly BackendView[];
  readonly answers: Answers;
  /** How each process is, such as `one up`. */
  readonly processes: readonly string[];
  /** What happened, and what the receiver was told: the newest last. */
  readonly story: readonly Line[];
  readonly deliveries: readonly Line[];
}

export interface Line {
  readonly atMs: number;
  readonly text: string;
}

export type Paint = (style: "bold" | "dim" | "green" | "yellow" | "red", text: string) => string;

const CODES = { bold: 1, dim: 2, green: 32, yellow: 33, red: 31 } as const;

/** Paints with ANSI colours, or not at all. */
export function paint(colours: boolean): Paint {
  return (style, text) => (colours ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text);
}

const LABELS: readonly (readonly [StorageDimension, string, (amount: number) => string])[] = [
  ["apiRequests", "requests", (amount) => amount.toLocaleString("en")],
  ["egressBytes", "egress", formatBytes],
  ["ingressBytes", "ingress", formatBytes],
];
const BAR_WIDTH = 22;

/** The lines beside those of the story and of deliveries. */
const FIXED_LINES = 7;
const LEAST_LINES = 3;

/** The whole picture, at most 80 columns wide. Always the same number of lines, which is `rows` where that is enough. */
export function renderTable(view: DemoView, styled: Paint, rows = 0): readonly string[] {
  const { period, elapsedMs, backends, answers } = view;
  const taking = backends.find(({ open }) => open);
  const spare = rows - FIXED_LINES - backends.length * LABELS.length;
  const lines = Math.min(MOST_LINES, Math.max(LEAST_LINES, Math.floor(spare / 2)));
  return [
    `  ${styled("bold", "usage this month")} (${period}, UTC)${clock(elapsedMs).padStart(44)}`,
    "",
    ...backends.flatMap((backend) => renderBackend(backend, backend === taking, styled)),
    "",
    `  ${styled("green", `${count(answers.served)} served`)}   ${refusals(answers, styled)}${failures(answers, styled)}   ${view.processes.join(", ")}`,
    "",
    ...last(view.story, lines),
    styled("dim", "  told by webhook, signatures verified:"),
    ...last(view.deliveries, lines),
  ];
}

const MOST_LINES = 8;

function last(lines: readonly Line[], height: number): readonly string[] {
  const shown = lines.slice(-height).map(renderEvent);
  return [...shown, ...Array.from({ length: height - shown.length }, () => "")];
}

/** When and what. */
export function renderEvent({ atMs, text }: Line): string {
  return `  ${clock(atMs)}  ${text}`;
}

function renderBackend(backend: BackendView, taking: boolean, styled: Paint): readonly string[] {
  const { name, open, usage, limits } = backend;
  const state = taking ? styled("green", "active ") : open ? styled("dim", "waiting") : styled("red", "full   ");
  return LABELS.map(([dimension, label, format], line) => {
    const limit = limits[dimension];
    const part = partOf(usage[dimension], limit);
    const style = part >= 1 ? "red" : part >= 0.8 ? "yellow" : "green";
    const lead = line === 0 ? `${styled("bold", name.padEnd(6))} ${state}` : " ".repeat(14);
    const amounts = `${format(usage[dimension]).padStart(9)} / ${limit === undefined ? "unlimited" : format(limit).padEnd(9)}`;
    return `  ${lead}  ${label.padEnd(8)} │${styled(style, bar(part, BAR_WIDTH))}│${amounts} ${styled(style, percent(part).padStart(5))}`;
  });
}

/** One short line, for logs and pipes. */
export function renderLine({ elapsedMs, backends, answers }: DemoView): string {
  const parts = backends.map(({ name, usage, limits }) => `${name} ${percent(fullest(usage, limits)).padStart(5)}`);
  const { served, refused, failed } = answers;
  return `  ${clock(elapsedMs)}  ${parts.join("   ")}   served ${served}   429 ${refused}${failed === 0 ? "" : `   failed ${failed}`}`;
}

function fullest(usage: Usage, limits: Partial<Usage>): number {
  return Math.max(0, ...LABELS.map(([dimension]) => partOf(usage[dimension], limits[dimension])));
}

/** How much of a limit is used: nothing where there is none, all of it where the limit is 0. */
function partOf(used: number, limit: number | undefined): number {
  if (limit === undefined) return 0;
  return limit === 0 ? 1 : used / limit;
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of `width` columns, filled to the eighth of a column; full only when the limit is reached. */
export function bar(part: number, width: number): string {
  const eighths = Math.min(Math.floor(part * width * 8), width * 8);
  const filled = "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "");
  return filled.padEnd(width);
}

function percent(part: number): string {
  return `${Math.floor(part * 100)} %`;
}

function refusals({ refused }: Answers, styled: Paint): string {
  return refused === 0 ? styled("dim", "0 refused (429)") : styled("red", `${count(refused)} refused (429)`);
}

function failures({ failed }: Answers, styled: Paint): string {
  return failed === 0 ? "" : `   ${styled("red", `${count(failed)} failed`)}`;
}

function count(amount: number): string {
  return amount.toLocaleString("en");
}

function clock(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1_000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}
