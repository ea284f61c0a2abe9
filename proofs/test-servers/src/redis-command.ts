import { Redis } from "ioredis";

const TIMEOUT_MS = 10_000;

/** Sends one command on a connection of its own, as `redis-cli` does: there is nothing to keep, or to find broken, between two. */
export async function redisCommand(
  url: string,
  command: string,
  ...args: readonly (string | number)[]
): Promise<unknown> {
  const client = new Redis(url, {
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    protocol: 2,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
  });
  // The rejection of `connect` does not say why.
  let reason: unknown;
  client.on("error", (error) => {
    reason = error;
  });
  try {
    await client.connect();
    return await client.call(command, ...args);
  } catch (error) {
    throw reason ?? error;
  } finally {
    client.disconnect();
  }
}

/** The fields of `INFO`. */
export async function redisInfo(url: string): Promise<ReadonlyMap<string, string>> {
  const lines = String(await redisCommand(url, "INFO")).split("\r\n");
  return new Map(lines.filter((line) => line.includes(":")).map((line) => split(line)));
}

function split(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1)];
}
