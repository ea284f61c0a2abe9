import { expect, it } from "vitest";
import { accountLimits, checkLimits } from "../../src/account/limit-check.ts";
import { WriterRecord } from "../../src/account/writer-record.ts";
import type { Use } from "../../src/fleet/use-log.ts";
import { amount } from "../support/writer.ts";

function use(atUs: number, amount: number, limit = 10): Use {
  return { atUs, period: "2026-01", backend: "oci", amount, limit };
}

it("tells the most that all used and kept free at once, in the order in which it came about", () => {
  const one = [use(1, 6), use(5, -4), use(9, 0)];
  const other = [use(3, 4), use(4, 1), use(7, 2)];
  expect(accountLimits([one, other])).toEqual([
    { period: "2026-01", backend: "oci", limit: 10, most: 11, excess: 1, used: 9, atFirstRefusal: 9 },
  ]);
});

it("tells each limit of each period by itself, the largest that anybody worked with, and what was left at the first refusal", () => {
  const [before, after] = [use(1, 10), { ...use(2, 12, 12), period: "2026-02" }];
  const refused = [use(3, 0), use(4, 3, 20), use(5, 0)];
  expect(accountLimits([[before, after], refused])).toEqual([
    { period: "2026-01", backend: "oci", limit: 20, most: 13, excess: 0, used: 13, atFirstRefusal: 10 },
    { period: "2026-02", backend: "oci", limit: 12, most: 12, excess: 0, used: 12, atFirstRefusal: undefined },
  ]);
});

it.each([
  ["alive, though Redis lost data", undefined, 0, 1, 0],
  ["dead, and Redis lost nothing", "killed", 0, 0, 0],
  ["dead, and Redis lost data, by what is not stored", "killed", 4, 1, 3],
  ["out of reach for a lease, and Redis lost data, by what it used meanwhile", "silent", 4, 1, 7],
] as const)("lets a limit be passed by what somebody used who is %s", (_, fate, stored, losses, allowed) => {
  const atUs = Number(process.hrtime.bigint() / 1_000n);
  const record = new WriterRecord("w", Date.now());
  if (fate === "killed") record.end = "killed";
  if (fate === "silent") record.silences.push({ fromMs: Date.now() - 9_000, toMs: Date.now() + 1_000 });
  const evidence = {
    uses: new Map([["w", [use(atUs, 7)]]]),
    writers: [record],
    stored: new Map([["w", amount(stored)]]),
    losses: Array.from({ length: losses }, () => ({ kind: "wiped", untilMs: Date.now() + 1_000 })),
    leaseMs: 10_000,
  };
  expect(checkLimits(evidence)).toMatchObject({ limits: [{ allowed }], problems: [] });
  const passed = checkLimits({
    ...evidence,
    uses: new Map([...evidence.uses, ["other", [use(atUs + 1, 4 + allowed)]]]),
  });
  expect(passed.problems).toEqual([`the limit of oci in 2026-01, 10, was passed by ${allowed + 1}, ${allowed} may be`]);
});

it("complains of who was let use something else than it recorded", () => {
  const record = new WriterRecord("w", Date.now());
  record.recorded = amount(6);
  const evidence = { writers: [record], stored: new Map(), losses: [], leaseMs: 10_000 };
  const { problems } = checkLimits({ ...evidence, uses: new Map([["w", [use(1, 7)]]]) });
  expect(problems).toEqual(["w was let use 7 of oci in 2026-01, and recorded 6"]);
});
