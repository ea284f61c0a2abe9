import { describe, expect, it } from "vitest";
import { account, type RedisLoss } from "../../src/account/account.ts";
import { amount, STARTED_MS, writer } from "../support/writer.ts";

const WIPE: RedisLoss = { kind: "wipe", untilMs: STARTED_MS + 1_000 };
const NEVER: readonly RedisLoss[] = [];

function problemsOf(
  end: "killed" | "stopped",
  stored: number,
  losses: readonly RedisLoss[] = NEVER,
): readonly string[] {
  return account({ writers: [writer(end)], stored: new Map([["w", amount(stored)]]), losses }).problems;
}

describe("the account of a writer that was killed", () => {
  it("has no problem when all that was shared is stored, with or without what was under way", () => {
    expect(problemsOf("killed", 10)).toEqual([]);
    expect(problemsOf("killed", 13)).toEqual([]);
  });

  it("complains of a count that is stored twice", () => {
    expect(problemsOf("killed", 14)).toEqual([expect.stringContaining("13 planned at most: counted more than once")]);
  });

  it("complains of a loss of what was confirmed as stored, whatever Redis lost", () => {
    expect(problemsOf("killed", 3, [WIPE])).toEqual([expect.stringContaining("confirmed 4: settled counts are lost")]);
  });

  it("complains of a loss of what was shared unless Redis lost it later", () => {
    const unexplained = [expect.stringContaining("10 shared, which Redis did not lose: unexplained loss")];
    expect(problemsOf("killed", 9)).toEqual(unexplained);
    expect(problemsOf("killed", 9, [{ ...WIPE, untilMs: STARTED_MS - 60_000 }])).toEqual(unexplained);
    expect(problemsOf("killed", 9, [WIPE])).toEqual([]);
  });

  it("takes the loss of a hash by itself as an excuse for its backend for as long as nobody looks for it", () => {
    const evicted = (key: string, agoMs: number): readonly string[] =>
      problemsOf("killed", 9, [
        { kind: "evicted", untilMs: STARTED_MS - agoMs, keys: ["p:v2:{2026-01/3}/epoch", key] },
      ]);
    expect(evicted("p:v2:{2026-01/3}:oci", 50_000)).toEqual([]);
    expect(evicted("p:v2:{2026-01/3}:oci", 70_000)).toHaveLength(1);
    expect(evicted("p:v2:{2026-01/3}:another", 50_000)).toHaveLength(1);
  });

  it("takes no later loss as an excuse once somebody must have stored what was shared", () => {
    const record = writer("killed");
    record.reconcile(amount(9));
    const problems = (stored: number) =>
      account({ writers: [record], stored: new Map([["w", amount(stored)]]), losses: [WIPE] }).problems;
    expect(problems(9)).toEqual([]);
    expect(problems(8)).toEqual([expect.stringContaining("confirmed 9: settled counts are lost")]);
  });

  it("says what is lost, and why", () => {
    const evidence = { writers: [writer("killed")], stored: new Map([["w", amount(8)]]), losses: [WIPE] };
    const [lost] = account(evidence).writers;
    expect(lost?.lostWithRedis.entries()).toEqual(amount(2).entries());
    expect(lost?.lostUnshared.entries()).toEqual(amount(3).entries());
  });
});

describe("the account of a writer that ended in order", () => {
  it("has no problem only when exactly what was recorded is stored", () => {
    expect(problemsOf("stopped", 13)).toEqual([]);
    expect(problemsOf("stopped", 12, [WIPE])).toEqual([expect.stringContaining("13 recorded when it ended in order")]);
    expect(problemsOf("stopped", 14)).toHaveLength(2);
  });
});

describe("the account of all", () => {
  it("complains of counts of a writer whom nobody started", () => {
    const stored = new Map([
      ["w", amount(13)],
      ["ghost", amount(1)],
    ]);
    const { problems } = account({ writers: [writer("stopped")], stored, losses: NEVER });
    expect(problems).toEqual([expect.stringContaining("ghost")]);
  });
});
