import { randomUUID } from "node:crypto";
import type { PostgresServer, RedisServer } from "@usage/test-servers";
import { onTestFinished } from "vitest";
import type { Book } from "../../src/fleet/book.ts";
import { FleetMember } from "../../src/fleet/member.ts";
import type { InstanceSettings } from "../../src/fleet/messages.ts";
import { StoredUsage } from "../../src/fleet/stored-usage.ts";

export interface Servers {
  readonly redis: RedisServer;
  readonly postgres: PostgresServer;
}

/** What is to be done after the test: in concurrent tests, only their own context knows which one. */
export type OnFinished = (end: () => Promise<void> | void) => void;

export interface Fleet {
  readonly backends: readonly string[];
  /** Begins all names. */
  readonly prefix: string;
  start(settings?: Partial<InstanceSettings>): Promise<FleetMember>;
  /** What the database holds, of all writers. */
  stored(): Promise<Book>;
  /** What it holds, by writer. */
  storedBy(): Promise<ReadonlyMap<string, Book>>;
}

/** Instances that share counts which no other test has; killed after the test. */
export function fleetOn(
  { redis, postgres }: Record<keyof Servers, { readonly url: string }>,
  size = 3,
  onFinished: OnFinished = onTestFinished,
): Fleet {
  const prefix = `fleet-${randomUUID()}`;
  const backends = Array.from({ length: size }, (_, i) => `${prefix} ${i}`);
  const stored = new StoredUsage(postgres.url, prefix);
  onFinished(() => stored.end());
  return {
    backends,
    prefix,
    async start(settings = {}) {
      const all = { redisUrl: redis.url, databaseUrl: postgres.url, prefix, backends, ...settings };
      const member = await startPatiently(all);
      onFinished(async () => {
        await member.instance.kill();
      });
      return member;
    },
    stored: () => stored.totals(),
    storedBy: () => stored.byWriter(),
  };
}

/** Whoever cannot connect in time ends, and is started again: by a supervisor elsewhere, on a machine that is busy with other tests here. */
async function startPatiently(settings: InstanceSettings, triesLeft = 3): Promise<FleetMember> {
  try {
    return await FleetMember.start(settings);
  } catch (error) {
    if (triesLeft === 0) throw error;
    return await startPatiently(settings, triesLeft - 1);
  }
}
