import { RowSet } from "@usage/counter-core/internal";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const ROWS = 8;
const row = fc.nat(ROWS - 1);
const step = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), row }),
  fc.record({ kind: fc.constant("delete" as const), row }),
  fc.record({ kind: fc.constant("filter" as const), kept: fc.uniqueArray(row) }),
  fc.record({ kind: fc.constant("look" as const) }),
  fc.record({ kind: fc.constant("clear" as const) }),
);

describe("RowSet", () => {
  it("has what a Set would have, whatever is done to it and however it grows", () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const set = new RowSet(ROWS);
        const model = new Set<number>();
        const keep = (all: Set<number>, isKept: (row: number) => boolean): void => {
          for (const one of all) if (!isKept(one)) all.delete(one);
        };
        for (const [i, did] of steps.entries()) {
          if (did.kind === "add") {
            set.add(did.row);
            model.add(did.row);
          } else if (did.kind === "delete") {
            set.delete(did.row);
            model.delete(did.row);
          } else if (did.kind === "filter") {
            set.filter((one) => did.kept.includes(one));
            keep(model, (one) => did.kept.includes(one));
          } else if (did.kind === "look") {
            expect([...set.rows()].sort()).toEqual([...model].sort());
          } else {
            set.clear();
            model.clear();
          }
          if (i === 5) set.grow(2 * ROWS);
          expect(set.size).toBe(model.size);
          for (let one = 0; one < ROWS; one++) expect(set.has(one)).toBe(model.has(one));
        }
        expect([...set.rows()].sort()).toEqual([...model].sort());
      }),
    );
  });

  it("takes a hundred thousand rows out one by one, at once", () => {
    const set = new RowSet(100_000);
    for (let one = 0; one < 100_000; one++) set.add(one);
    for (let one = 0; one < 100_000; one++) set.delete(one); // in quadratic time, for minutes
    expect([set.size, set.rows()]).toEqual([0, []]);
  });
});
