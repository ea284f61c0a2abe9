import { WriterRecord } from "../../src/account/writer-record.ts";
import { Book } from "../../src/fleet/book.ts";

export const PERIOD = "2026-01";
export const BACKEND = "oci";
export const STARTED_MS = 100_000;

/** An amount of the one dimension that these tests need. */
export function amount(apiRequests: number, period: string = PERIOD): Book {
  return Book.of([[period, BACKEND, "apiRequests", apiRequests]]);
}

/** A writer that recorded and shared 10, knows 4 of it to be stored, and then planned 3 more. */
export function writer(end: "killed" | "stopped", name = "w"): WriterRecord {
  const record = new WriterRecord(name, STARTED_MS);
  record.take(step(10, 0));
  record.takeStored([[PERIOD, BACKEND, "apiRequests", 4]]);
  record.take(step(3, 0));
  record.end = end;
  if (end === "stopped") record.recorded = amount(13);
  return record;
}

export function step(
  apiRequests: number,
  unpushed: number,
  options: { period?: string; isLastRecorded?: boolean } = {},
) {
  const { period = PERIOD, isLastRecorded = true } = options;
  return {
    period,
    step: [[BACKEND, { apiRequests }]] as const,
    isLastRecorded,
    unpushed: { [BACKEND]: { apiRequests: unpushed } },
    view: {},
    takenUp: [],
    sharedAtMs: STARTED_MS,
  };
}
