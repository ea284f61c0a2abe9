import { utcMonths } from "@usage/counter-core";
import { describe, expect, it } from "vitest";
import type { HeapCells } from "../src/cells/heap-cells.ts";
import { HeapPeriods } from "../src/cells/heap-periods.ts";

const JANUARY = Date.UTC(2026, 0, 15);
const FEBRUARY = Date.UTC(2026, 1, 15);

/** Cells of two rows with two dimensions each; all but the last are limited. */
function periods(isExact: boolean): HeapPeriods {
  const cells = new HeapPeriods(utcMonths, JANUARY, { rows: 2, size: 2, hops: 2, isExact });
  for (const cell of [0, 1, 2]) cells.setLimit(cell, 100);
  return cells;
}

const amounts = (a: number, b = 0): Float64Array => Float64Array.of(a, b, 0, 0);

describe("cells in exact mode", () => {
  it("take what their ceiling allows and no more, whatever their limit", () => {
    const all = periods(true);
    const cells = all.current() as HeapCells;
    expect(all.tryAddAll(0, amounts(1))).toBe(false);
    all.setCeiling(cells, 0, 10);
    expect(all.tryAddAll(0, amounts(8))).toBe(true);
    expect(all.tryAddAll(0, amounts(3))).toBe(false);
    expect(all.tryAddAll(0, amounts(2, 1))).toBe(false);
    expect(all.fits(0, amounts(2))).toBe(true);
    expect(all.limit(0)).toBe(100);
  });

  it("take nothing where they are suspended, and what is not limited without a ceiling", () => {
    const all = periods(true);
    all.setCeiling(all.current(), 2, -1);
    expect(all.fits(1, amounts(0, 5))).toBe(false);
    all.setCeiling(all.current(), 2, 0);
    expect(all.tryAddAll(1, amounts(0, 5))).toBe(true);
  });

  it("take as much when others turn out to have more or less", () => {
    const all = periods(true);
    const cells = all.current() as HeapCells;
    all.setCeiling(cells, 0, 10);
    for (const others of [50, 90, 20]) {
      cells.setOthers(1, 0, others);
      expect(all.fits(0, amounts(10))).toBe(true);
      expect(all.fits(0, amounts(11))).toBe(false);
    }
  });

  it("take no more than their limit leaves, whatever their ceiling", () => {
    const all = periods(true);
    const cells = all.current() as HeapCells;
    all.setCeiling(cells, 0, 50);
    cells.setOthers(1, 0, 70);
    expect(all.fits(0, amounts(30))).toBe(true);
    expect(all.fits(0, amounts(31))).toBe(false);
    all.setLimit(0, 80);
    expect(all.fits(0, amounts(11))).toBe(false);
  });

  it("keep free of their ceiling what is held, and hold no more", () => {
    const all = periods(true);
    const cells = all.current() as HeapCells;
    all.setCeiling(cells, 0, 10);
    all.tryKeepFree(cells, 0, amounts(4));
    expect(all.fits(0, amounts(6))).toBe(true);
    expect(all.fits(0, amounts(7))).toBe(false);
    expect(all.tryKeepFree(cells, 0, amounts(7))).toBe(false);
    expect(cells.heldRows.rows()).toEqual([0]);
    all.free(cells, 0, amounts(4));
    expect(all.fits(0, amounts(10))).toBe(true);
  });

  it("begin each period without a ceiling, and keep that of one that comes back", () => {
    const all = periods(true);
    all.setCeiling(all.current(), 0, 10);
    all.advance(FEBRUARY);
    expect(all.fits(0, amounts(1))).toBe(false);
    expect(all.limit(0)).toBe(100);
    all.advance(JANUARY);
    expect(all.fits(0, amounts(10))).toBe(true);
    all.reserve(100);
    expect(all.fits(0, amounts(10))).toBe(true);
    all.setLimit(150, 5);
    expect(all.limit(150)).toBe(5);
    expect(all.fits(75, amounts(1))).toBe(false);
  });

  it("are near their limit by what is used of that", () => {
    const all = periods(true);
    all.setCeiling(all.current(), 0, 10);
    all.tryAddAll(0, amounts(10));
    expect(all.isAnyAt(0.8)).toBe(false);
    all.current().setOthers(1, 0, 70);
    expect(all.isAnyAt(0.8)).toBe(true);
  });
});

describe("cells of which others keep something free", () => {
  it("take as much less, in that period only", () => {
    const all = periods(false);
    const cells = all.current() as HeapCells;
    all.tryKeepFree(cells, 0, amounts(10));
    all.setHeldElsewhere(cells, 0, 60);
    expect(all.limit(0)).toBe(100);
    expect(all.fits(0, amounts(30))).toBe(true);
    expect(all.fits(0, amounts(31))).toBe(false);
    all.setLimit(0, 90);
    expect(all.fits(0, amounts(21))).toBe(false);
    all.advance(FEBRUARY);
    expect(all.fits(0, amounts(90))).toBe(true);
    all.setHeldElsewhere(cells, 0, 70);
    expect(all.fits(0, amounts(90))).toBe(true);
    all.advance(JANUARY);
    expect(all.fits(0, amounts(10))).toBe(true);
    expect(all.fits(0, amounts(11))).toBe(false);
    all.setHeldElsewhere(cells, 0, 0);
    all.free(cells, 0, amounts(10));
    expect(all.fits(0, amounts(90))).toBe(true);
    expect(all.limit(0)).toBe(90);
  });
});
