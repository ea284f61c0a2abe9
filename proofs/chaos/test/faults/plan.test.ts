import { expect, it } from "vitest";
import { plan, type Round } from "../../src/faults/plan.ts";
import { postgresFaults } from "../../src/faults/postgres-faults.ts";
import { redisFaults } from "../../src/faults/redis-faults.ts";

function rounds(seed: number, count: number): readonly Round[] {
  const planned = plan(seed);
  return Array.from({ length: count }, () => planned.next().value as Round);
}

it("a seed decides what goes wrong, and when", () => {
  expect(rounds(1, 20)).toEqual(rounds(1, 20));
  expect(rounds(1, 20)).not.toEqual(rounds(2, 20));
});

it("every fault comes about within a few rounds", () => {
  const kinds = (lane: "redis" | "postgres") =>
    new Set(rounds(3, 4).flatMap((round) => round[lane].map(({ kind }) => kind)));
  expect(kinds("redis")).toEqual(new Set(Object.keys(redisFaults)));
  expect(kinds("postgres")).toEqual(new Set(Object.keys(postgresFaults)));
});
