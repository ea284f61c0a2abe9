import { setTimeout as sleep } from "node:timers/promises";
import { account, type RedisLoss } from "../account/account.ts";
import { checkLimits } from "../account/limit-check.ts";
import { Book } from "../fleet/book.ts";
import type { FleetMember } from "../fleet/member.ts";
import type { LimitedSettings } from "../fleet/messages.ts";
import type { StoredUsage } from "../fleet/stored-usage.ts";
import { readUse } from "../fleet/use-log.ts";
import type { Crew } from "./crew.ts";

const PATIENCE_MS = 60_000;
/** The longest age of what is known of others, and an exchange: after that, whatever was shared before is seen. */
const SEEN_AFTER_MS = 1_500;

export interface CheckpointParts {
  readonly crew: Crew;
  readonly stored: StoredUsage;
  readonly losses: readonly RedisLoss[];
  /** Where instances write what they use of limits, and how long they may go on with them without Redis. */
  readonly limited: Pick<LimitedSettings, "folder"> & { readonly leaseMs: number };
  readonly signal: AbortSignal;
}

/**
 * While nothing is broken and the load goes on: every instance exchanges counts and flushes twice. Then all that the dead had
 * shared must be stored, and all that the living had recorded before. Answers what is not as it should be.
 */
export async function checkpoint({
  crew,
  stored,
  losses,
  limited,
  signal,
}: CheckpointParts): Promise<readonly string[]> {
  await crew.whole();
  const members = crew.running;
  const dead = crew.members.map(({ record }) => record).filter(({ end }) => end === "killed");
  const before = members.map(({ record }) => ({ writer: record.writer, recorded: record.atLeastRecorded() }));
  const late = (await Promise.all(members.map((member) => flushTwice(member, signal)))).flat();
  if (late.length > 0) return late;

  const byWriter = await stored.byWriter();
  const writers = crew.members.map(({ record }) => record);
  const { problems } = account({ writers, stored: byWriter, losses });
  const { folder, leaseMs } = limited;
  const { problems: passed } = checkLimits({ uses: readUse(folder), writers, stored: byWriter, losses, leaseMs });
  const unstored = before
    .filter(({ writer, recorded }) => !recorded.isAtMost(byWriter.get(writer) ?? recorded.copy()))
    .map(({ writer }) => `${writer} flushed, and not all that it had recorded before is stored`);
  // From here on, nothing of theirs can be lost.
  for (const record of dead) record.reconcile(byWriter.get(record.writer) ?? new Book());
  return [...problems, ...passed, ...unstored];
}

/** Two flushes that work, with all that others had shared when it began. Answers what did not come about in time. */
async function flushTwice(member: FleetMember, signal: AbortSignal): Promise<readonly string[]> {
  const beganMs = Date.now();
  const deadline = beganMs + PATIENCE_MS;
  const inTime = async (what: string, condition: () => Promise<boolean>): Promise<readonly string[]> => {
    while (!(await condition())) {
      if (Date.now() > deadline) return [`${member.writer} does not ${what} within ${PATIENCE_MS} ms of calm`];
      await sleep(100, undefined, { signal });
    }
    return [];
  };
  const late = await inTime("exchange its counts", async () => {
    return ((await member.sharedAtMs()) ?? 0) > beganMs + SEEN_AFTER_MS;
  });
  if (late.length > 0) return late;
  for (let flushes = 0; flushes < 2; flushes++) {
    const failed = await inTime("flush", () => member.flush());
    if (failed.length > 0) return [...failed, `its last flush that failed: ${(await member.flushes()).error}`];
  }
  return [];
}
