import { setTimeout as sleep } from "node:timers/promises";
import { Book } from "../fleet/book.ts";
import type { FleetMember } from "../fleet/member.ts";
import { type CheckpointParts, checkpoint } from "./checkpoint.ts";

const PATIENCE_MS = 30_000;

/**
 * Lets all come to rest, and checks that each sees all that is stored, whether it held that before or not; then lets all end in order. Answers what is not as it
 * should be; the account is not in it.
 */
export async function finish(parts: CheckpointParts): Promise<readonly string[]> {
  const { crew, stored, signal } = parts;
  const problems: string[] = [];
  await Promise.all(crew.running.map((member) => member.rest()));
  problems.push(...(await checkpoint(parts)));
  // Of a period that is over, an instance that starts stores at once what nobody lived to store.
  const last = await crew.join();
  await last.rest();
  problems.push(...(await checkpoint(parts)));

  const all = await stored.totals();
  const blind = await Promise.all(crew.running.map((member) => seesAll(member, all, signal)));
  problems.push(...blind.filter((problem) => problem !== undefined));
  const sum = Book.sumOf((await stored.byWriter()).values());
  if (JSON.stringify(sum.entries()) !== JSON.stringify(all.entries())) {
    problems.push("usage_totals is not the sum over the writers of usage_tallies");
  }
  await Promise.all(
    crew.running.map(async (member) => {
      const stopping = member.stop().then(() => member.ended);
      const end = await stopping.catch((error: unknown) => String(error));
      if (typeof end === "string" || end.code !== 0)
        problems.push(`${member.writer} does not end well: ${JSON.stringify(end)}`);
    }),
  );
  return problems;
}

async function seesAll(member: FleetMember, all: Book, signal: AbortSignal): Promise<string | undefined> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(50, undefined, { signal })) {
    const names = new Set(all.entries().map(([, backend]) => backend));
    const { period, view } = await member.totals([...names]);
    const seen = new Book();
    for (const [backend, usage] of Object.entries(view)) seen.add(period, backend, usage);
    const current = Book.of(all.entries().filter((entry) => entry[0] === period));
    if (current.isAtMost(seen)) return undefined;
    if (Date.now() > deadline) return `${member.writer} does not see all of ${period} that is stored`;
  }
}
