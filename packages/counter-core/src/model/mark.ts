import { assertBackendName, assertDimensionName } from "./names.ts";
import { assertText } from "./text.ts";

/** Something that happens once in a period and is somebody's to act upon: that 80 % of a limit are used, say. */
export interface Mark {
  /** The key of the period in which it happened. */
  readonly period: string;
  /** Whose it is; absent: no backend's. To remove a backend removes its marks. */
  readonly backend?: string;
  /** Absent: it is of no dimension. */
  readonly dimension?: string;
  /** What happens: 1 to 256 UTF-16 units of well-formed text without control characters, as backends' names are. */
  readonly mark: string;
  /** What somebody is to be told of it: who claims it as new puts that into the outbox of a channel, at once with the mark. */
  readonly notice?: {
    /** Who delivers it: a name like `mark`. */
    readonly channel: string;
    /** 1 to 65,536 UTF-16 units of well-formed text without the character 0. */
    readonly body: string;
  };
}

/** A mark as stores keep it: what is absent is the empty text, which is no name. */
export interface MarkRow {
  readonly backend: string;
  readonly period: string;
  readonly dimension: string;
  readonly mark: string;
  /** Absent where nobody is to be told of it. */
  readonly channel?: string;
  readonly body?: string;
}

const MAX_BODY = 65_536;

/** @throws NameError or RangeError when it is no mark. */
export function markRow(mark: Mark): MarkRow {
  const { period, backend, dimension, mark: name, notice } = mark;
  if (backend !== undefined) assertBackendName(backend);
  if (dimension !== undefined) assertDimensionName(dimension);
  assertText("a mark's period", period);
  assertText("a mark's mark", name);
  const row = { backend: backend ?? "", period, dimension: dimension ?? "", mark: name };
  if (notice === undefined) return row;
  const { channel, body } = notice;
  assertText("a mark's channel", channel);
  assertBody(body);
  return { ...row, channel, body };
}

/** The mark of a row, without its notice. */
export function markOf({ backend, period, dimension, mark }: MarkRow): Omit<Mark, "notice"> {
  return { period, ...(backend !== "" && { backend }), ...(dimension !== "" && { dimension }), mark };
}

/** The same for the same mark only: no name has a line break. Begins with the backend. */
export function markKey({ backend, period, dimension, mark }: MarkRow): string {
  return `${backend}\n${period}\n${dimension}\n${mark}`;
}

function assertBody(value: unknown): void {
  const isBody = typeof value === "string" && value.length > 0 && value.length <= MAX_BODY;
  if (!isBody || !value.isWellFormed() || value.includes("\0")) {
    throw new RangeError(
      `the body of a mark's notice must be 1 to ${MAX_BODY} UTF-16 units of well-formed text without the character 0`,
    );
  }
}
