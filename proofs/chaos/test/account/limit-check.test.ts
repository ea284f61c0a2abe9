import { expect, it } from "vitest";
import { accountLimits } from "../../src/account/limit-check.ts";
import type { Use } from "../../src/fleet/use-log.ts";

function use(atUs: number, amount: number, limit = 10): Use {
  return { atUs, period: "2026-01", backend: "oci", amount, limit };
}

it("tells the most that all used and kept free at once, in the order in which it came about", () => {
  const one = [use(1, 6), use(5, -4), use(9, 0)];
  const other = [use(3, 4), use(4, 1), use(7, 2)];
  expect(accountLimits([one, other])).toEqual([
    { period: "2026-01", backend: "oci", limit: 10, most: 11, used: 9, atFirstRefusal: 9 },
  ]);
});

it("tells each limit of each period by itself, the largest that anybody worked with, and what was left at the first refusal", () => {
  const [before, after] = [use(1, 10), { ...use(2, 12, 12), period: "2026-02" }];
  const refused = [use(3, 0), use(4, 3, 20), use(5, 0)];
  expect(accountLimits([[before, after], refused])).toEqual([
    { period: "2026-01", backend: "oci", limit: 20, most: 13, used: 13, atFirstRefusal: 10 },
    { period: "2026-02", backend: "oci", limit: 12, most: 12, used: 12, atFirstRefusal: undefined },
  ]);
});
