import { ByteText } from "../byte-text.ts";

/** The text exposition format of Prometheus, version 0.0.4. */
export const TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8";

/** A label as the format has it, such as `status="2xx"`. */
export type LabelText = string;

/** All labels of a sample as the format has them, such as `{backend="oci",status="2xx"}`; empty without any. */
export type LabelSet = string;

/** One value and its labels. */
export type Sample = readonly [labels: LabelSet, value: number];

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

const NONE: LabelSet = "";

/** To be rendered once where many samples have the same label. */
export function label(name: string, value: string): LabelText {
  return `${name}="${value.replace(/[\\\n"]/g, escaped)}"`;
}

/** To be rendered once where many samples have the same labels. */
export function labelSet(...labels: readonly LabelText[]): LabelSet {
  // One flat string, which a template would not make: its parts would be gathered again for every line.
  return ["{", labels.join(), "}"].join("");
}

/** Those of a histogram's samples. */
export interface HistogramLabels {
  /** With `le`, for each bound and for what is above all of them. */
  readonly buckets: readonly LabelSet[];
  readonly all: LabelSet;
}

/** @param bounds as the histogram has them. */
export function histogramLabels(bounds: readonly number[], ...labels: readonly LabelText[]): HistogramLabels {
  const buckets = [...bounds, Number.POSITIVE_INFINITY].map((le) => labelSet(...labels, label("le", formatValue(le))));
  return { buckets, all: labels.length === 0 ? NONE : labelSet(...labels) };
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

  histogram(family: Family): Histograms {
    return new Histograms(family.name, this.#begin("histogram", family));
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

  add(labels: LabelSet, value: number): void {
    this.#text.write(`${this.#name}${labels} ${formatValue(value)}\n`);
  }
}

/** The samples of a histogram. */
export class Histograms {
  readonly #name: string;
  readonly #text: ByteText;

  constructor(name: string, text: ByteText) {
    this.#name = name;
    this.#text = text;
  }

  add({ buckets, all }: HistogramLabels, { counts, sum }: HistogramState): void {
    const name = this.#name;
    let text = "";
    let upToHere = 0;
    for (const [i, labels] of buckets.entries()) {
      upToHere += counts[i] ?? 0;
      text += `${name}_bucket${labels} ${upToHere}\n`;
    }
    this.#text.write(`${text}${name}_sum${all} ${formatValue(sum)}\n${name}_count${all} ${upToHere}\n`);
  }
}

function escaped(sign: string): string {
  return sign === "\n" ? "\\n" : `\\${sign}`;
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
