import { messageOf } from "../util/message-of.ts";

/** A backend's name that the counter does not hold. */
export class UnknownBackendError extends Error {
  readonly code = "USAGE_UNKNOWN_BACKEND";
  readonly backend: string;

  constructor(backend: string) {
    super(`unknown backend ${quote(backend)}: await ensure(${quote(backend)}) first`);
    this.name = "UnknownBackendError";
    this.backend = backend;
  }
}

/** A dimension that the counter does not have. */
export class UnknownDimensionError extends Error {
  readonly code = "USAGE_UNKNOWN_DIMENSION";
  readonly backend: string;
  readonly dimension: string;
  readonly dimensions: readonly string[];

  constructor(backend: string, dimension: string, dimensions: readonly string[]) {
    super(`unknown dimension ${quote(dimension)} for backend ${quote(backend)}: known are ${dimensions.join(", ")}`);
    this.name = "UnknownDimensionError";
    this.backend = backend;
    this.dimension = dimension;
    this.dimensions = dimensions;
  }
}

/** An amount that is not a non-negative safe integer, or that would take a total past 2^53-1. */
export class AmountError extends RangeError {
  readonly code = "USAGE_AMOUNT";
  readonly backend: string;
  readonly dimension: string;
  readonly value: unknown;

  constructor(backend: string, dimension: string, value: unknown, problem = "is not a whole number from 0 to 2^53-1") {
    super(`${dimension} of backend ${quote(backend)}: ${describe(value)} ${problem}`);
    this.name = "AmountError";
    this.backend = backend;
    this.dimension = dimension;
    this.value = value;
  }
}

/** A name that cannot be a backend's or a dimension's. */
export class NameError extends RangeError {
  readonly code = "USAGE_NAME";
  readonly value: unknown;

  constructor(kind: "backend" | "dimension", value: unknown, problem: string) {
    super(`${describe(value)} cannot name a ${kind}: ${problem}`);
    this.name = "NameError";
    this.value = value;
  }
}

/** Counts of one counter were asked for in both ways, `swap` and `tallies`, which would count them twice. */
export class DrainConflictError extends Error {
  readonly code = "USAGE_DRAIN_CONFLICT";

  constructor(asked: "swap" | "tallies") {
    const other = asked === "swap" ? "tallies" : "swap";
    super(`${asked} refused: this counter's counts are already taken with ${other}; one counter has one way out`);
    this.name = "DrainConflictError";
  }
}

/** More backends than a counter may hold. Nothing was let go of to make room for them. */
export class TooManyBackendsError extends RangeError {
  readonly code = "USAGE_TOO_MANY_BACKENDS";
  readonly maxBackends: number;
  /** How many more can be held. */
  readonly room: number;

  constructor(backend: string, maxBackends: number, room = 0) {
    super(
      `backend ${quote(backend)} cannot be held: at most ${maxBackends} may be; release some, or raise maxBackends`,
    );
    this.name = "TooManyBackendsError";
    this.maxBackends = maxBackends;
    this.room = room;
  }
}

/** What one writer counted cannot be merged any more: the period's rows are one row for each backend, of all writers. */
export class PeriodFoldedError extends Error {
  readonly code = "USAGE_PERIOD_FOLDED";
  readonly period: string;

  constructor(period: string) {
    super(
      `period ${quote(period)} is folded: what came late of it cannot be told from what it has already; see whether it is missing in its history`,
    );
    this.name = "PeriodFoldedError";
    this.period = period;
  }
}

/** What was used of some backends cannot be read at the moment, so it is not known whether they may be used. */
export class UnknownUsageError extends Error {
  readonly code = "USAGE_UNKNOWN_USAGE";
  readonly backends: readonly string[];

  constructor(backends: readonly string[], cause: unknown) {
    const [first = ""] = backends;
    const named = backends.length === 1 ? quote(first) : `${quote(first)} and ${backends.length - 1} more`;
    super(`what was used of ${named} cannot be read, ask again later: ${messageOf(cause)}`, { cause });
    this.name = "UnknownUsageError";
    this.backends = backends;
  }
}

function quote(name: unknown): string {
  return typeof name === "string" ? JSON.stringify(name) : describe(name);
}

/** A value as an error message shows it: its type where the text alone would not tell, cut where it is long. */
function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}...` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" || typeof value === "function")
    return value === null ? "null" : Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
  return String(value);
}
