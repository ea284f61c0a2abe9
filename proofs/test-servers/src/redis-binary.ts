import { type DebianProgram, debianProgram, isFetched } from "./debian-packages.ts";
import { installedProgram, type Program } from "./program.ts";

/** Redis 6.0 is older than what the packages support. */
export type RedisVersion = "Redis 6.0" | "Redis 7.0" | "Redis 8.0" | "Valkey 8.1";

const REDIS = { name: "redis-server", path: "usr/bin/redis-server" };
const VALKEY = { name: "valkey-server", path: "usr/bin/valkey-server" };

/** The Debian that has a version. */
const RELEASES: Readonly<Record<RedisVersion, DebianProgram & { readonly release: string }>> = {
  "Redis 6.0": { ...REDIS, release: "bullseye" },
  "Redis 7.0": { ...REDIS, release: "bookworm" },
  "Redis 8.0": { ...REDIS, release: "trixie" },
  "Valkey 8.1": { ...VALKEY, release: "trixie" },
};

/**
 * A Redis or Valkey server: the one on PATH or among the system's binaries; else, on Debian and its kin, one that is fetched
 * once into the workspace's cache without being installed. One of a certain version is always fetched, from a mirror of Debian.
 *
 * @throws Error that says how to install one, or what keeps that version from being had.
 */
export async function redisBinary(version?: RedisVersion): Promise<Program> {
  if (version !== undefined) return debianProgram(RELEASES[version]).catch((cause) => refuse(missing(version), cause));
  const installed = installedProgram("redis-server", "valkey-server");
  if (installed !== undefined) return installed;
  return debianProgram(REDIS).catch((cause) => refuse(MISSING, cause));
}

/** Whether there is one to be had at once: installed, or fetched before. */
export function redisAtHand(): boolean {
  return installedProgram("redis-server", "valkey-server") !== undefined || isFetched(REDIS);
}

const MISSING =
  "no Redis to test against: apt-get install -y --no-install-recommends redis-server (Debian), or brew install redis (macOS)";

function missing(version: RedisVersion): string {
  return `${version} comes from Debian's ${RELEASES[version].release}, and cannot be fetched from there`;
}

function refuse(message: string, cause: unknown): never {
  throw new Error(message, { cause });
}
