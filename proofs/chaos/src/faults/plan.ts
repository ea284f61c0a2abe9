import { Random } from "@usage/simulation";
import type { Act } from "./fault.ts";
import { instanceFaults } from "./instance-faults.ts";
import { postgresFaults } from "./postgres-faults.ts";
import { redisFaults } from "./redis-faults.ts";

/** What goes wrong at once: each lane's acts come one after the other, the lanes run side by side. */
export interface Round {
  readonly redis: readonly Act[];
  readonly postgres: readonly Act[];
  readonly kills: readonly Act[];
  readonly freezes: readonly Act[];
}

const KILLS = ["killed", "killed", "killed", "killed while stopped"] as const;
/** Further cards: a database that is away says so, one that was restarted has forgotten its connections. */
const RESTARTS = ["killed and started again", "killed and started again"] as const;

/** The rounds of a seed, without end. Each lane deals its kinds like cards: all have come before one comes again. */
export function* plan(seed: number): Generator<Round> {
  const random = new Random(seed);
  const redis = dealer(random, Object.keys(redisFaults));
  const postgres = dealer(random, [...Object.keys(postgresFaults), ...RESTARTS]);
  const kills = dealer(random, KILLS);
  const freezes = dealer(
    random,
    Object.keys(instanceFaults).filter((kind) => !kind.startsWith("killed")),
  );
  for (;;) {
    yield {
      redis: acts(random, redis, { count: 3, gapMs: 3_000, longestMs: 4_000 }),
      postgres: acts(random, postgres, { count: 3, gapMs: 3_000, longestMs: 4_000 }),
      kills: acts(random, kills, { count: 6, gapMs: 3_500, longestMs: 1_000 }),
      freezes: acts(random, freezes, { count: 1, gapMs: 10_000, longestMs: 5_000 }),
    };
  }
}

interface Pace {
  readonly count: number;
  /** The longest pause before each. */
  readonly gapMs: number;
  readonly longestMs: number;
}

function acts(random: Random, deal: () => string, { count, gapMs, longestMs }: Pace): readonly Act[] {
  return Array.from({ length: count }, () => ({
    kind: deal(),
    afterMs: Math.floor(gapMs * random.next()),
    forMs: 100 + Math.floor((longestMs - 100) * random.next()),
    detail: random.next(),
  }));
}

function dealer(random: Random, kinds: readonly string[]): () => string {
  let left: string[] = [];
  return () => {
    if (left.length === 0) left = [...kinds];
    return left.splice(random.below(left.length), 1)[0] as string;
  };
}
