import fc from "fast-check";
import { expect, it } from "vitest";
import { BucketRows } from "../src/replication/bucket-rows.ts";
import { bucketOf } from "../src/server/keys.ts";

it("rows are found by their bucket, whatever came and went before, also where another backend has the row now", () => {
  const step = fc.record({ row: fc.nat(150), backend: fc.integer({ min: 0, max: 300 }).map((i) => `b${i}`) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const rows = new BucketRows();
      const held = new Map<number, string>();
      for (const { row, backend } of steps) {
        if (held.delete(row)) {
          rows.delete(row);
        } else {
          held.set(row, backend);
          rows.add(row, backend);
        }
      }
      for (let bucket = 0; bucket < 64; bucket++) {
        const expected = [...held].filter(([, backend]) => bucketOf(backend) === bucket).map(([row]) => row);
        expect([...rows.in(bucket)].sort()).toEqual(expected.sort());
      }
      for (const [row, backend] of held) expect(rows.of(row)).toBe(bucketOf(backend));
    }),
    { numRuns: 50 },
  );
});
