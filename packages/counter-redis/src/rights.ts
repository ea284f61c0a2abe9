import { RedisConnectError } from "./errors.ts";
import { backendsKey, countsKey } from "./keys.ts";
import type { RedisClient } from "./redis-client.ts";

/** No period has this key. */
const NO_PERIOD = "rights";
const NO_SCRIPT = "0".repeat(40);
const TTL_MS = 1_000;

type Command = readonly [name: string, ...args: (string | number)[]];

/**
 * Every command that is ever sent, by itself or by a script, so that a right that is missing is known at the start and not when
 * it is needed: many are needed only when something has failed. Redis checks rights before it looks at anything else, so most
 * of these change nothing; the name that `SADD` adds is deleted again.
 */
export function trialOf(prefix: string): readonly Command[] {
  const counts = countsKey(prefix, NO_PERIOD, NO_PERIOD);
  const backends = backendsKey(prefix, NO_PERIOD);
  return [
    ["del", counts],
    ["del", backends],
    ["sadd", backends, NO_PERIOD],
    ["pexpire", backends, TTL_MS],
    ["smembers", backends],
    ["del", backends],
    ["hmget", counts, NO_PERIOD],
    ["hgetall", counts],
    ["hset", counts, NO_PERIOD, 0, "a field without a value"],
    ["evalsha", NO_SCRIPT, 1, counts],
    ["eval", "return 1", 1, counts],
  ];
}

/** What the trial gets for an answer where the right is there. */
const EXPECTED = /^NOSCRIPT|wrong number of arguments/;

/**
 * Tries every command that is needed.
 *
 * @throws RedisConnectError that names all rights that the client's user lacks, and the rules that give them.
 */
export async function assertRights(client: RedisClient, prefix: string): Promise<void> {
  const trial = trialOf(prefix);
  const answers = await Promise.allSettled(trial.map(([name, ...args]) => client.call(name, args)));
  const rules = new Set<string>();
  let refusal: Error | undefined;
  answers.forEach((answer, i) => {
    if (answer.status === "fulfilled") return;
    const error: unknown = answer.reason;
    if (isMissingRight(error)) {
      refusal ??= error;
      rules.add(isAboutKeys(error) ? `~${escaped(prefix)}:*` : `+${trial[i]?.[0]}`);
    } else if (!(error instanceof Error && EXPECTED.test(error.message))) {
      throw error;
    }
  });
  if (refusal === undefined) return;
  const [, user = "USER"] = /\bUser (\S+) has no permissions/i.exec(refusal.message) ?? [];
  const remedy = `ACL SETUSER ${user} ${[...rules].sort().join(" ")}`;
  throw new RedisConnectError(
    `the user of the client may not do what is needed (${refusal.message}); give it what it lacks: ${remedy}`,
    { cause: refusal },
  );
}

/** Whether Redis refused something because the user may not do it, at all or with that key. */
export function isMissingRight(error: unknown): error is Error {
  return error instanceof Error && /\bNOPERM\b|\bACL failure\b|The user executing the script can't/.test(error.message);
}

/** Of a right that is missing: whether it is one for a key. */
export function isAboutKeys(error: Error): boolean {
  return /\baccess\b.*\bkeys?\b/.test(error.message);
}

/** In a pattern of Redis these stand for others. */
function escaped(prefix: string): string {
  return prefix.replace(/[*?[\]\\]/g, "\\$&");
}
