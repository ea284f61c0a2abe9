/** The text exposition format of Prometheus, version 0.0.4. */
export const TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

/** One value and its labels. */
export type Sample = readonly [labels: Labels, value: number];

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

const NONE: Labels = {};

/** Writes metrics down, one family after the other. */
export class MetricsText {
  readonly #lines: string[] = [];

  gauge(family: Family, samples: Iterable<Sample> | number): void {
    this.#simple("gauge", family, samples);
  }

  /** The name ends in `_total`. */
  counter(family: Family, samples: Iterable<Sample> | number): void {
    this.#simple("counter", family, samples);
  }

  /** @param bounds upper and inclusive, rising, in the unit of the sum. */
  histogram(family: Family, bounds: readonly number[], states: Iterable<readonly [Labels, HistogramState]>): void {
    this.#head("histogram", family);
    const { name } = family;
    for (const [labels, { counts, sum }] of states) {
      let upToHere = 0;
      for (let i = 0; i <= bounds.length; i++) {
        upToHere += counts[i] ?? 0;
        this.#sample(`${name}_bucket`, { ...labels, le: formatValue(bounds[i] ?? Number.POSITIVE_INFINITY) }, upToHere);
      }
      this.#sample(`${name}_sum`, labels, sum);
      this.#sample(`${name}_count`, labels, upToHere);
    }
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #simple(type: string, family: Family, samples: Iterable<Sample> | number): void {
    this.#head(type, family);
    const all: Iterable<Sample> = typeof samples === "number" ? [[NONE, samples]] : samples;
    for (const [labels, value] of all) this.#sample(family.name, labels, value);
  }

  #head(type: string, { name, help }: Family): void {
    this.#lines.push(`# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text.replace(/[\\\n"]/g, escaped)}"`);
    const set = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
    this.#lines.push(`${name}${set} ${formatValue(value)}`);
  }
}

function escaped(sign: string): string {
  return sign === "\n" ? "\\n" : `\\${sign}`;
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
