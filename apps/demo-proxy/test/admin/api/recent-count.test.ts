import { expect, it } from "vitest";
import { CountReadings } from "../../../src/admin/api/usage/recent-count.ts";

const [SECOND, MINUTE] = [1_000, 60_000];

it("a count of the last minute forgets what is older, and that of the period does not", () => {
  const readings = new CountReadings();
  const read = (count: number, atMs: number) => readings.read(count, atMs, "2026-11");
  expect(read(0, 0)).toEqual({ lastMinute: 0, thisPeriod: 0 });
  expect(read(5, 10 * SECOND)).toEqual({ lastMinute: 5, thisPeriod: 5 });
  expect(read(5, 40 * SECOND)).toEqual({ lastMinute: 5, thisPeriod: 5 });
  expect(read(7, 50 * SECOND)).toEqual({ lastMinute: 7, thisPeriod: 7 });
  expect(read(7, 10 * SECOND + MINUTE)).toEqual({ lastMinute: 2, thisPeriod: 7 });
  expect(read(7, 50 * SECOND + MINUTE)).toEqual({ lastMinute: 0, thisPeriod: 7 });
  expect(read(8, 90 * MINUTE)).toEqual({ lastMinute: 1, thisPeriod: 8 });
});

it("a count of the period begins at zero with the next one", () => {
  const readings = new CountReadings();
  readings.read(5, 0, "2026-11");
  expect(readings.read(6, SECOND, "2026-12")).toEqual({ lastMinute: 6, thisPeriod: 1 });
  expect(readings.read(8, 3 * SECOND, "2026-12")).toEqual({ lastMinute: 8, thisPeriod: 3 });
});

it("a count that is read a thousand times a second, and a clock that is set back, are no matter", () => {
  const readings = new CountReadings();
  for (let n = 0; n <= 2_000; n += 1) readings.read(n, n, "2026-11");
  expect(readings.read(2_000, 2 * SECOND, "2026-11")).toEqual({ lastMinute: 2_000, thisPeriod: 2_000 });
  // A second or more old: only the latest grain is still in the minute.
  expect(readings.read(2_000, SECOND + MINUTE, "2026-11").lastMinute).toBeLessThanOrEqual(1_001);
  expect(readings.read(2_001, -MINUTE, "2026-11")).toEqual({ lastMinute: 0, thisPeriod: 2_001 });
  expect(readings.read(2_003, 0, "2026-11")).toEqual({ lastMinute: 2, thisPeriod: 2_003 });
});
