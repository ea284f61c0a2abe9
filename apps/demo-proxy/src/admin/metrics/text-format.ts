import { ByteText } from "../byte-text.ts";

/** The text exposition format of Prometheus, version 0.0.4. */
export const TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8";

/** A set of labels as the format has it, such as `backend="oci",status="2xx"`; empty without any. */
export type LabelText = string;

/** One value and its labels. */
export type Sample = readonly [labels: LabelText, value: number];

export interface Family {
  readonly name: string;
  readonly help: string;
}

/** A histogram's state: how many values were at most each bound, and above all; their sum. */
export interface HistogramState {
  /** Of each bucket alone, not of those below it; the last one is of the values above all bounds. */
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

const NONE: LabelText = "";

/** To be rendered once where many samples have the same label. */
export function label(name: string, value: string): LabelText {
  return `${name}="${value.replace(/[\\\n"]/g, escaped)}"`;
}

/**
 * Writes metrics down. The format wants all samples of a metric together, so that each family has its place from when it was
 * asked for, however late its samples are added.
 */
export class MetricsText {
  readonly #families: ByteText[] = [];

  gauge(family: Family, samples: Iterable<Sample> | number = []): Samples {
    return this.#simple("gauge", family, samples);
  }

  /** The name ends in `_total`. */
  counter(family: Family, samples: Iterable<Sample> | number = []): Samples {
    return this.#simple("counter", family, samples);
  }

  /** @param bounds upper and inclusive, rising, in the unit of the sum. */
  histogram(family: Family, bounds: readonly number[], state?: HistogramState): Histograms {
    const histograms = new Histograms(family.name, bounds, this.#begin("histogram", family));
    if (state !== undefined) histograms.add(NONE, state);
    return histograms;
  }

  /** All that was written, in UTF-8. */
  bytes(): readonly Uint8Array[] {
    return this.#families.flatMap((family) => family.chunks());
  }

  #simple(type: string, family: Family, samples: Iterable<Sample> | number): Samples {
    const lines = new Samples(family.name, this.#begin(type, family));
    const all: Iterable<Sample> = typeof samples === "number" ? [[NONE, samples]] : samples;
    for (const [labels, value] of all) lines.add(labels, value);
    return lines;
  }

  #begin(type: string, { name, help }: Family): ByteText {
    const text = new ByteText();
    text.write(`# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n`);
    this.#families.push(text);
    return text;
  }
}

/** The samples of a gauge or a counter. */
export class Samples {
  readonly #name: string;
  readonly #text: ByteText;

  constructor(name: string, text: ByteText) {
    this.#name = name;
    this.#text = text;
  }

  add(labels: LabelText, value: number): void {
    this.#text.write(`${this.#name}${braced(labels)} ${formatValue(value)}\n`);
  }
}

/** The samples of a histogram. */
export class Histograms {
  readonly #name: string;
  /** As labels, the one above all bounds included. */
  readonly #bounds: readonly LabelText[];
  readonly #text: ByteText;

  constructor(name: string, bounds: readonly number[], text: ByteText) {
    this.#name = name;
    this.#bounds = [...bounds, Number.POSITIVE_INFINITY].map((bound) => label("le", formatValue(bound)));
    this.#text = text;
  }

  add(labels: LabelText, { counts, sum }: HistogramState): void {
    const name = this.#name;
    const before = labels === NONE ? NONE : `${labels},`;
    let text = "";
    let upToHere = 0;
    for (const [i, bound] of this.#bounds.entries()) {
      upToHere += counts[i] ?? 0;
      text += `${name}_bucket{${before}${bound}} ${upToHere}\n`;
    }
    const set = braced(labels);
    this.#text.write(`${text}${name}_sum${set} ${formatValue(sum)}\n${name}_count${set} ${upToHere}\n`);
  }
}

function braced(labels: LabelText): string {
  return labels === NONE ? "" : `{${labels}}`;
}

function escaped(sign: string): string {
  return sign === "\n" ? "\\n" : `\\${sign}`;
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
