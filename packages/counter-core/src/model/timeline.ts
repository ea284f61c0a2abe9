/** Which part of a period's timeline is asked for. Instants are in milliseconds since the Unix epoch. */
export interface TimelineQuery {
  /** Hours and days of UTC. */
  readonly step: "hour" | "day";
  /** Only hours that begin then or later. @default from the period's beginning */
  readonly from?: number;
  /** Only hours that begin before. @default to the period's end */
  readonly to?: number;
  /** Only of these backends. @default of all */
  readonly backends?: readonly string[];
}

/** What all writers together stored of one backend in one hour or day. A dimension that is absent is zero. */
export interface TimelineStep {
  /** When the hour or the day begins, in milliseconds since the Unix epoch. */
  readonly start: number;
  readonly backend: string;
  readonly usage: Readonly<Record<string, number>>;
}

/** What becomes of a timeline as it grows old. Instants are in milliseconds since the Unix epoch. */
export interface TimelineAges {
  /** Hours that begin before are made one with their day. */
  readonly hoursBefore: number;
  /** Days that begin before are deleted. */
  readonly daysBefore: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long a step is, in milliseconds. */
export const STEP_MS: Readonly<Record<TimelineQuery["step"], number>> = { hour: HOUR_MS, day: DAY_MS };

/** The first instant of the step that holds an instant. */
export function stepStart(step: TimelineQuery["step"], timeMs: number): number {
  return Math.floor(timeMs / STEP_MS[step]) * STEP_MS[step];
}

/** @throws RangeError unless each instant is a whole number of milliseconds from 0, and `step` is one. */
export function assertTimelineQuery({ step, from = 0, to = 0 }: TimelineQuery): void {
  if (!Object.hasOwn(STEP_MS, step)) throw new RangeError(`step must be "hour" or "day", got ${String(step)}`);
  assertInstant("from", from);
  assertInstant("to", to);
}

/** @throws RangeError unless both are instants, and hours are not kept for longer than days. */
export function assertTimelineAges({ hoursBefore, daysBefore }: TimelineAges): void {
  assertInstant("hoursBefore", hoursBefore);
  assertInstant("daysBefore", daysBefore);
  if (daysBefore > hoursBefore) {
    throw new RangeError(`daysBefore must not be later than hoursBefore, got ${daysBefore} and ${hoursBefore}`);
  }
}

/** @throws RangeError unless it is a whole number of milliseconds since the Unix epoch that a date can have. */
export function assertInstant(name: string, timeMs: unknown): void {
  if (!Number.isSafeInteger(timeMs) || (timeMs as number) < 0 || (timeMs as number) > 8.64e15) {
    throw new RangeError(`${name} must be a whole number of milliseconds since the Unix epoch, got ${String(timeMs)}`);
  }
}
