/** A span of time over which usage is added up and limits apply. A count belongs to the period in which it was recorded. */
export interface Period {
  /** Names the period in stores; keys of later periods sort after those of earlier ones. */
  readonly key: string;
  /** First instant of the period, in milliseconds since the Unix epoch. */
  readonly start: number;
  /** First instant after the period, in milliseconds since the Unix epoch. */
  readonly end: number;
}

/** Divides time into adjacent periods without gaps. */
export interface PeriodScheme {
  /** The period that holds `timeMs` (milliseconds since the Unix epoch): `start <= timeMs < end`. Pure. */
  at(timeMs: number): Period;
}
