import { RedisConnectError } from "./errors.ts";
import { BucketKeys } from "./keys.ts";
import type { RedisClient } from "./redis-client.ts";

/** No period has this key. */
const NO_PERIOD = { key: "rights", start: 0, end: 0 };
const NO_SCRIPT = "0".repeat(40);

type Command = readonly [name: string, ...args: (string | number)[]];

/**
 * Every command that is ever sent, by itself or by a script, so that a right that is missing is known at the start and not when
 * it is needed: many are needed only when something has failed. Redis checks rights before it looks at anything but the number
 * of arguments. None of these writes anything: their keys do not exist, or they are refused for what they say.
 */
export function trialOf(prefix: string, isCluster: boolean): readonly Command[] {
  const keys = new BucketKeys(prefix, { period: NO_PERIOD, number: 0 });
  const { epoch, changes, version } = keys;
  const hash = keys.counts(NO_PERIOD.key);
  return [
    ["info", "server"],
    ["time"],
    // On a cluster, each key is asked for by itself.
    isCluster ? ["get", version] : ["mget", version],
    ["set", version, "", "PX", 0],
    ["exists", hash],
    ["hget", epoch, "id"],
    ["hmget", hash, ":"],
    ["hgetall", hash],
    ["hset", hash, ":", 0, "a field without a value"],
    ["hdel", epoch, "id"],
    ["pexpire", hash, 1],
    ["del", hash],
    ["zadd", changes, "no score", ""],
    ["zcard", changes],
    ["zmscore", changes, ""],
    ["zrange", changes, 0, 0],
    ["zrangebyscore", changes, 0, 0],
    ["zrem", changes, ""],
    ["evalsha", NO_SCRIPT, 1, epoch],
    ["eval", "return 1", 1, epoch],
  ];
}

/** What the trial gets for an answer where the right is there. */
const EXPECTED = /^NOSCRIPT|wrong number of arguments|invalid expire time|not a valid float/;

/**
 * Tries every command that is needed.
 *
 * @throws RedisConnectError that names all rights that the client's user lacks, and the rules that give them.
 */
export async function assertRights(client: RedisClient, prefix: string): Promise<void> {
  const trial = trialOf(prefix, client.isCluster);
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
