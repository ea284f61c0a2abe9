import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { vi } from "vitest";
import { accountLimits, checkLimits, type LimitAccount } from "../../src/account/limit-check.ts";
import type { FleetMember } from "../../src/fleet/member.ts";
import type { InstanceSettings } from "../../src/fleet/messages.ts";
import { readUse } from "../../src/fleet/use-log.ts";
import { type Fleet, fleetOn, type OnFinished } from "./fleet-on.ts";

export const LEASE_MS = 5_000;
/** After so long without a use, there is nothing left to use: a request waits no longer. */
const STILL_MS = 1_500;
/** Of what waits for instances to use something; far more than it takes. */
const PATIENCE = { timeout: 60_000, interval: 100 };

export interface ExactFleetOptions {
  readonly limit: number;
  /** Called with what is to be done after the test. */
  readonly onFinished: OnFinished;
}

/** Instances that use one limit, and the truth of what they used, dead ones included. */
export class ExactFleet {
  readonly fleet: Fleet;
  readonly #limit: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "usage-exact-"));
  readonly #members: FleetMember[] = [];

  constructor(servers: Parameters<typeof fleetOn>[0], { limit, onFinished }: ExactFleetOptions) {
    onFinished(() => rmSync(this.#folder, { recursive: true }));
    this.fleet = fleetOn(servers, 0, onFinished);
    this.#limit = limit;
  }

  /** @param burst How often it uses something in a step, of some 3 ms. */
  async start(burst: number, settings: Partial<InstanceSettings> = {}): Promise<FleetMember> {
    const limited = { folder: this.#folder, limit: this.#limit, leaseMs: LEASE_MS, waitMs: 1_000, burst };
    const member = await this.fleet.start({ flushIntervalMs: 400, limited, ...settings });
    this.#members.push(member);
    return member;
  }

  startAll(...bursts: readonly number[]): Promise<FleetMember[]> {
    return Promise.all(bursts.map((burst) => this.start(burst)));
  }

  /** The most that was used and kept free at once, that at the end, and that when somebody was refused for the first time. */
  account(): Pick<LimitAccount, "most" | "used" | "atFirstRefusal"> {
    const [account] = accountLimits(readUse(this.#folder).values());
    return account ?? { most: 0, used: 0, atFirstRefusal: undefined };
  }

  /**
   * What the limit may have been passed by where Redis has lost data: what the dead used that is not stored, and, on a machine so busy
   * that others were out of reach for almost a lease, what these used meanwhile. Usually there are none.
   */
  async mayBePassedBy(): Promise<number> {
    const [limit] = checkLimits({
      uses: readUse(this.#folder),
      writers: this.#members.map(({ record }) => record),
      stored: await this.fleet.storedBy(),
      losses: [{ kind: "whatever it was", untilMs: Number.POSITIVE_INFINITY }],
      leaseMs: LEASE_MS,
    }).limits;
    return limit?.allowed ?? 0;
  }

  usedBy({ writer }: FleetMember): number {
    return (readUse(this.#folder).get(writer) ?? []).reduce((sum, { amount }) => sum + amount, 0);
  }

  /** What the store has of somebody. */
  async storedOf({ writer }: FleetMember): Promise<number> {
    return (await this.fleet.storedBy()).get(writer)?.byDimension().apiRequests ?? 0;
  }

  /** Resolves when all together have used and keep free at least so much. */
  async untilUsed(amount: number): Promise<void> {
    await vi.waitFor(() => {
      const { used } = this.account();
      if (used < amount) throw new Error(`${used} of ${amount} are used`);
    }, PATIENCE);
  }

  /** Resolves when all is used, also of what work kept free that was under way. */
  async untilUsedUp(): Promise<void> {
    do {
      await this.untilUsed(this.#limit);
      await sleep(STILL_MS);
    } while (this.account().used < this.#limit);
  }

  /** Resolves when nobody uses any more. Answers the most that was used and kept free until then. */
  async untilStill(): Promise<number> {
    for (let last = -1; ; ) {
      const { most, used } = this.account();
      if (used === last) return most;
      last = used;
      await sleep(STILL_MS);
    }
  }

  /** Resolves when it keeps so much free, in one piece. */
  async reserve(member: FleetMember, amount: number): Promise<void> {
    await vi.waitFor(async () => {
      if (!(await member.reserve(amount))) throw new Error(`there is no room for ${amount}`);
    }, PATIENCE);
  }

  /** Lets all who live end in order. Answers what of theirs is stored, and what they used. */
  async end(): Promise<{ readonly stored: number; readonly used: number; readonly problems: readonly unknown[] }> {
    const living = this.#members.filter(({ record }) => record.end === undefined);
    await Promise.all(living.map((member) => member.stop()));
    const exits = await Promise.all(living.map(({ instance }) => instance.exited));
    const stored = await Promise.all(living.map((member) => this.storedOf(member)));
    const problems = living.flatMap(({ instance }, i) => {
      return exits[i]?.code === 0 && instance.output() === "" ? [] : [exits[i], instance.output()];
    });
    const sum = (amounts: readonly number[]): number => amounts.reduce((all, amount) => all + amount, 0);
    return { stored: sum(stored), used: sum(living.map((member) => this.usedBy(member))), problems };
  }
}
