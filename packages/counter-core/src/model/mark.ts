import { assertBackendName, assertDimensionName } from "./names.ts";

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
}

/** A mark as stores keep it: what is absent is the empty text, which is no name. */
export interface MarkRow {
  readonly backend: string;
  readonly period: string;
  readonly dimension: string;
  readonly mark: string;
}

/** @throws NameError or RangeError when it is no mark. */
export function markRow(mark: Mark): MarkRow {
  const { period, backend, dimension, mark: name } = mark;
  if (backend !== undefined) assertBackendName(backend);
  if (dimension !== undefined) assertDimensionName(dimension);
  assertText("period", period);
  assertText("mark", name);
  return { backend: backend ?? "", period, dimension: dimension ?? "", mark: name };
}

/** The same for the same mark only: no name has a line break. Begins with the backend. */
export function markKey({ backend, period, dimension, mark }: MarkRow): string {
  return `${backend}\n${period}\n${dimension}\n${mark}`;
}

function assertText(field: "period" | "mark", value: unknown): void {
  try {
    assertBackendName(value);
  } catch (cause) {
    throw new RangeError(
      `a mark's ${field} must be 1 to 256 UTF-16 units of well-formed text without control characters`,
      { cause },
    );
  }
}
