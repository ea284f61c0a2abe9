import { describe, expect, it } from "vitest";
import { ViewCheck } from "../../src/account/view-check.ts";

function seeing(planned: number, ...views: readonly number[]): readonly (readonly string[])[] {
  const check = new ViewCheck();
  check.plan("2026-01", [["oci", { apiRequests: planned }]]);
  return views.map((apiRequests) => check.see("w", "2026-01", { oci: { apiRequests } }));
}

describe("what an instance sees", () => {
  it("may be anything that does not go down and is not above what was planned", () => {
    expect(seeing(5, 0, 3, 3, 5)).toEqual([[], [], [], []]);
  });

  it("is wrong when it is above what all planned", () => {
    expect(seeing(5, 6)).toEqual([["w sees 6 apiRequests of oci in 2026-01, and all together counted 5 at most"]]);
  });

  it("may be less than before of what was let go of and taken up again, and of nothing else", () => {
    const check = new ViewCheck();
    check.plan("2026-01", [
      ["acme", { apiRequests: 5 }],
      ["globex", { apiRequests: 5 }],
    ]);
    const see = (amount: number, takenUp: readonly string[]) =>
      check.see("w", "2026-01", { acme: { apiRequests: amount }, globex: { apiRequests: amount } }, takenUp);
    expect(see(4, [])).toEqual([]);
    expect(see(3, ["acme"])).toEqual(["w sees 3 apiRequests of globex in 2026-01, and saw 4 before"]);
    expect(see(2, ["globex"])).toEqual(["w sees 2 apiRequests of acme in 2026-01, and saw 3 before"]);
  });

  it("is wrong when it goes down within a period", () => {
    expect(seeing(5, 4, 3)).toEqual([[], ["w sees 3 apiRequests of oci in 2026-01, and saw 4 before"]]);
  });
});
