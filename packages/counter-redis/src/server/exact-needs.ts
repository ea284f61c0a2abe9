import { messageOf } from "@usage/counter-core/internal";
import { RedisConnectError } from "./errors.ts";
import type { RedisClient } from "./redis-client.ts";

/** What a script can tell of the run of the server and of its data: 1 for all that is needed, 0 where it may not ask, else -1. */
const RUN_OF_SERVER = `
local server, replication = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
if type(server) ~= 'string' or type(replication) ~= 'string' then return 0 end
return string.find(server, 'run_id:%w') and string.find(replication, 'master_replid:%w') and 1 or -1`;

const APPROXIMATE = 'or use enforcement "approximate"';

/**
 * Exact limits need to see that a server has lost data: by which run of which data it is.
 *
 * @throws RedisConnectError that says what to do.
 */
export async function assertRunIsTold(client: RedisClient): Promise<void> {
  const told = await client.call("eval", [RUN_OF_SERVER, 0]);
  // fault: takes any server for one that tells when it has lost data
  if (told === 1) return;
  const problem =
    told === 0
      ? `scripts must be able to read INFO server and INFO replication, which this server denies them: let the user of the client (ACL SETUSER USER +info), ${APPROXIMATE}`
      : `INFO must tell run_id and master_replid, and this server does not: connect to one that does, ${APPROXIMATE}`;
  throw new RedisConnectError(`with enforcement "exact", ${problem}`);
}

/** What else exact limits need of a server and is not seen there: what is wrong, and what to do. Rejects where Redis is away. */
export async function cautionsFor(client: RedisClient, leaseMs: number): Promise<readonly string[]> {
  const cautions: string[] = [];
  const memory = await infoOf(client, "memory");
  const policy = memory.get("maxmemory_policy");
  if (policy === undefined || !memory.has("maxmemory")) {
    cautions.push(
      "whether the server evicts keys cannot be seen: INFO memory does not tell; maxmemory-policy must be noeviction",
    );
  } else if (policy !== "noeviction" && memory.get("maxmemory") !== "0") {
    cautions.push(
      `the server evicts keys when its memory is full (maxmemory-policy ${policy}): nothing is granted for a while after each; set it to noeviction`,
    );
  }
  const replicas = (await infoOf(client, "replication")).get("connected_slaves");
  if (Number(replicas ?? 0) === 0) return cautions;
  const remedy = `set min-replicas-to-write 1 and min-replicas-max-lag below ${leaseMs / 1_000}`;
  const least = await leastReplicas(client);
  if (least === undefined) {
    cautions.push(
      `whether two masters could grant at once cannot be seen: the user of the client may not use CONFIG GET (ACL SETUSER USER +config|get); ${remedy}`,
    );
  } else if (least === 0) {
    cautions.push(`the server has replicas, and goes on without them: two masters could grant at once; ${remedy}`);
  }
  return cautions;
}

/** Undefined where it cannot be seen. */
async function leastReplicas(client: RedisClient): Promise<number | undefined> {
  const reply = await unlessDenied(client.call("config", ["get", "min-replicas-to-write"]));
  if (reply === undefined || reply === null) return undefined;
  const parts = Array.isArray(reply) ? reply : reply instanceof Map ? [...reply].flat() : Object.entries(reply).flat();
  return parts.length === 2 ? Number(parts[1]) : undefined;
}

async function infoOf(client: RedisClient, section: string): Promise<ReadonlyMap<string, string>> {
  const text = String((await unlessDenied(client.call("info", [section]))) ?? "");
  return new Map(Array.from(text.matchAll(/^(\w+):(\S*)/gm), ([, name = "", value = ""]) => [name, value]));
}

/** Undefined where the server does not do it for us. */
function unlessDenied(reply: Promise<unknown>): Promise<unknown> {
  return reply.catch((error: unknown) => {
    if (/^(NOPERM|ERR)\b/.test(messageOf(error))) return undefined;
    throw error;
  });
}
