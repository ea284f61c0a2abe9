import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "@usage/counter-core/internal";
import { ConnectionErrors } from "./connection-errors.ts";
import { RedisConnectError, RefusedCountsError } from "./errors.ts";
import { assertRunIsTold, cautionsFor } from "./exact-needs.ts";
import type { RedisClient } from "./redis-client.ts";
import { assertRights } from "./rights.ts";

const DEADLINE_MS = 4_500;
/** After that, how long it may go without a reply. */
const STALLED_MS = 500;
const RETRY_MS = 50;
/** Scripts that replicate what they did, and `HSET` of many fields, were there before; older ones are not tested. */
const OLDEST = [6, 2] as const;
const NODE_OF_CLUSTER = "this server is part of a cluster: pass a Cluster of ioredis instead of a Redis";

export interface ConnectSteps {
  /** Exchanges all counts once. */
  readonly start: () => Promise<void>;
  /** How many replies that brought so far: what goes on is given the time that it takes, however much there is. */
  readonly replies: () => number;
  /** Where limits are to hold exactly, which not every server can be trusted with. */
  readonly exact?: { readonly leaseMs: number } | undefined;
}

/**
 * Begins to use Redis, or says within 5 seconds why it cannot be used: a dependency that was configured must be there at
 * the start.
 *
 * @returns What it could not see to be as exact limits need it.
 * @throws RedisConnectError that says why it cannot be used, and what to do.
 */
export async function connect(
  client: RedisClient,
  prefix: string,
  { start, replies, exact }: ConnectSteps,
): Promise<readonly string[]> {
  const late = Promise.withResolvers<never>();
  const refused = Promise.withResolvers<never>();
  for (const { promise } of [late, refused]) promise.catch(() => {});
  let isOver = false;
  let lastError: unknown;
  const connection = new ConnectionErrors(client, (error) => {
    const problem = permanentProblem(error);
    if (problem !== undefined) refused.reject(new RedisConnectError(problem, { cause: error }));
  });
  let known = 0;
  // No attempt begins after the deadline; one that is under way goes on as long as it gets replies.
  const checkProgress = (): void => {
    isOver = true;
    const isStalled = replies() === known;
    known = replies();
    if (isStalled) late.reject(unreachable(client, connection.last, lastError));
    else timer = setTimeout(checkProgress, STALLED_MS);
  };
  let timer = setTimeout(checkProgress, DEADLINE_MS);
  const attempt = async (): Promise<readonly string[]> => {
    while (!isOver) {
      try {
        await client.call("ping", []);
        await assertServer(client);
        if (exact !== undefined) await assertRunIsTold(client);
        // fault: does not try what it will need of Redis
        await assertRights(client, prefix);
        // The answer may have come after the caller gave up.
        if (isOver) break;
        known = replies();
        await start();
        return exact === undefined ? [] : await cautionsFor(client, exact.leaseMs);
      } catch (error) {
        const problem = permanentProblem(error);
        if (problem !== undefined) throw new RedisConnectError(problem, { cause: error });
        lastError = error;
        await sleep(RETRY_MS);
      }
    }
    throw unreachable(client, connection.last, lastError);
  };
  try {
    return await Promise.race([attempt(), late.promise, refused.promise]);
  } finally {
    isOver = true;
    connection.close();
    clearTimeout(timer);
  }
}

async function assertServer(client: RedisClient): Promise<void> {
  const info = await client.call("info", ["server"]).catch((error: unknown) => {
    // A user that may not ask for it may still do all that is needed.
    if (messageOf(error).startsWith("NOPERM")) return "";
    throw error;
  });
  // By chance, all keys might be on this node.
  if (!client.isCluster && /^(redis|server)_mode:cluster/m.test(String(info)))
    throw new RedisConnectError(NODE_OF_CLUSTER);
  const version = /^redis_version:(\d+)\.(\d+)\S*/m.exec(String(info));
  if (version === null) return;
  const [found, major, minor] = [version[0].slice("redis_version:".length), Number(version[1]), Number(version[2])];
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new RedisConnectError(`the server is Redis ${found}; ${OLDEST.join(".")} or newer is needed`);
  }
}

/** What waiting will not mend, and what will. */
function permanentProblem(error: unknown): string | undefined {
  const message = messageOf(error);
  const [, ofSentinels] = SENTINELS.exec(message) ?? [];
  // fault: waits at the start for Sentinels that refuse
  if (ofSentinels !== undefined) return sentinelProblem(ofSentinels);
  if (error instanceof RedisConnectError) return error.message.replace(/^.*cannot start: /, "");
  if (error instanceof RefusedCountsError) return error.message;
  // fault: waits at the start for a certificate that it does not trust
  if (isAboutCertificate(error)) return `the server's certificate is not trusted (${message})`;
  const [code = ""] = message.split(" ", 1);
  switch (code) {
    case "NOAUTH":
      return "Redis demands a password: give the client one";
    case "WRONGPASS":
      return "Redis refuses the user or password of the client";
    case "NOPERM":
      return `the user of the client may not do what is needed (${message})`;
    case "READONLY":
      return "this server is a read-only replica: connect to its master";
    case "MOVED":
    case "CROSSSLOT":
      return NODE_OF_CLUSTER;
    case "ERR":
      return `Redis refuses what is needed (${message})`;
    default:
      return undefined;
  }
}

/** A client that finds no master tells inside its own text what the last of its Sentinels said. */
const SENTINELS = /^All sentinels are unreachable.* Last error: (.*)$/s;

function sentinelProblem(message: string): string | undefined {
  const [code = ""] = message.split(" ", 1);
  switch (code) {
    case "NOAUTH":
      return "the Sentinels demand a password: give the client a sentinelPassword";
    case "WRONGPASS":
      return "the Sentinels refuse the sentinelUsername or sentinelPassword of the client";
    case "NOPERM":
    case "ERR":
      return `the Sentinels refuse to name the master (${message})`;
    default:
      return undefined;
  }
}

/** As OpenSSL and Node name what they have against one: nobody vouches for it, it is out of date, or another host's. */
function isAboutCertificate(error: unknown): boolean {
  return error instanceof Error && "code" in error && /CERT|^UNABLE_TO_/.test(String(error.code));
}

function unreachable(client: RedisClient, connectionError: unknown, lastError: unknown): RedisConnectError {
  const cause = client.status === "ready" ? lastError : (connectionError ?? lastError);
  const reason = cause === undefined ? "" : `; the last error was: ${messageOf(cause)}`;
  const problem = `no answer from Redis within ${DEADLINE_MS} ms (the client is ${client.status})${reason}`;
  return new RedisConnectError(problem, { cause });
}
