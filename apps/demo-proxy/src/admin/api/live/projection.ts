export interface ProjectionInput {
  /** Used in this period so far. */
  readonly used: number;
  /** Absent: unlimited. 0: reached from the beginning. */
  readonly limit?: number | undefined;
  /** How fast it is used from now on. */
  readonly perSecond: number;
  readonly nowMs: number;
  /** The end of the period. */
  readonly endMs: number;
}

export interface Projection {
  /** What will be used at the end of the period, were nothing refused. */
  readonly atEnd: number;
  /** When the limit is reached, in milliseconds since the Unix epoch; undefined when this period ends before that. */
  readonly limitAtMs: number | undefined;
}

/** What comes of a rate that stays as it is until the period ends. */
export function project({ used, limit, perSecond, nowMs, endMs }: ProjectionInput): Projection {
  const leftMs = Math.max(0, endMs - nowMs);
  const atEnd = Math.min(Number.MAX_SAFE_INTEGER, Math.round(used + (perSecond * leftMs) / 1_000));
  if (limit === undefined) return { atEnd, limitAtMs: undefined };
  if (used >= limit) return { atEnd, limitAtMs: nowMs };
  const untilLimitMs = ((limit - used) * 1_000) / perSecond;
  return { atEnd, limitAtMs: untilLimitMs < leftMs ? nowMs + Math.ceil(untilLimitMs) : undefined };
}
