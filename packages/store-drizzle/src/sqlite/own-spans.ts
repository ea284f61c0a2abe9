/** The times of one merge, or of several, in a period: all that was written after one time and up to another. */
export interface Span {
  readonly period: string;
  readonly after: number;
  readonly upTo: number;
}

/** Times of a period, both ends included. */
export type TimeRange = readonly [from: number, to: number];

/** Those before are read again: it takes others who write as often in between to have so many. */
const MAX_SPANS = 1_000;

/** When writers have themselves merged what is theirs: what changed then, they need not be told. */
export class OwnSpans {
  #spans: (Span & { readonly writer: string })[] = [];

  /** Later than those of the period before. */
  add(writer: string, span: Span): void {
    const { period, after, upTo } = span;
    if (upTo === after) return;
    const last = this.#spans.at(-1);
    // fault: takes what others wrote between two merges for the writer's own
    const goesOn = last?.period === period && last.writer === writer && last.upTo === after;
    if (goesOn) this.#spans.splice(-1, 1, { ...last, upTo });
    else this.#spans.push({ ...span, writer });
    if (this.#spans.length > MAX_SPANS) this.#spans.shift();
  }

  /** Forgets what was written later than `at`, the period's last time now: others may write then, too, once a clock has stepped back. */
  keepUpTo(period: string, at: number): void {
    const isLeft = (span: Span): boolean => span.period !== period || span.upTo <= at;
    // fault: takes what others write at the times of removed rows for the writer's own
    if (!this.#spans.every(isLeft)) this.#spans = this.#spans.filter(isLeft);
  }

  /** The times since then in which others may have written, or the writer something else, in order. */
  others(period: string, writer: string, since: number): readonly TimeRange[] {
    const ranges: TimeRange[] = [];
    let from = since;
    for (const span of this.#spans) {
      if (span.period !== period || span.writer !== writer || span.upTo < from) continue;
      if (from <= span.after) ranges.push([from, span.after]);
      from = span.upTo + 1;
    }
    return [...ranges, [from, Number.MAX_SAFE_INTEGER]];
  }
}
