/** A project of somebody who takes some of the packages, and installs what their READMEs tell him to. */
export interface Combination {
  readonly title: string;
  /** pnpm leaves nothing in reach that is not declared; npm lays all packages side by side. */
  readonly installer: "npm" | "pnpm";
  /** Of ours, by their folders. */
  readonly packages: readonly string[];
  /** Of others. */
  readonly others: readonly string[];
  /** What can be imported of ours. */
  readonly entries: readonly string[];
}

/** What the packages work with, and must not need unless it is used. */
const PEERS = ["vitest", "ioredis", "drizzle-orm", "better-sqlite3", "postgres", "express", "fastify", "hono"];

export function absentPeers({ others }: Combination): readonly string[] {
  return PEERS.filter((peer) => !others.includes(peer));
}

const TRACKER_ENTRIES = ["@usage/counter-core", "@usage/tracker", "@usage/tracker/http"];
const SQLITE_ENTRIES = ["@usage/store-drizzle/sqlite", "@usage/store-drizzle/sqlite/schema"];
const POSTGRES_ENTRIES = ["@usage/store-drizzle/postgres", "@usage/store-drizzle/postgres/schema"];

export const COMBINATIONS: readonly Combination[] = [
  {
    title: "the core alone",
    installer: "pnpm",
    packages: ["counter-core"],
    others: [],
    entries: ["@usage/counter-core"],
  },
  {
    title: "core and vitest",
    installer: "pnpm",
    packages: ["counter-core"],
    others: ["vitest"],
    entries: ["@usage/counter-core", "@usage/counter-core/testing"],
  },
  {
    title: "core and tracker",
    installer: "pnpm",
    packages: ["counter-core", "tracker"],
    others: [],
    entries: TRACKER_ENTRIES,
  },
  {
    title: "core, tracker, and its middleware",
    installer: "pnpm",
    packages: ["counter-core", "tracker"],
    others: ["express", "@types/express", "fastify", "hono"],
    entries: [...TRACKER_ENTRIES, "@usage/tracker/express", "@usage/tracker/fastify", "@usage/tracker/hono"],
  },
  {
    title: "core, tracker, and store on SQLite",
    installer: "npm",
    packages: ["counter-core", "tracker", "store-drizzle"],
    others: ["drizzle-orm", "better-sqlite3"],
    entries: [...TRACKER_ENTRIES, ...SQLITE_ENTRIES],
  },
  {
    title: "core, tracker, and store on Postgres",
    installer: "pnpm",
    packages: ["counter-core", "tracker", "store-drizzle"],
    others: ["drizzle-orm", "postgres"],
    entries: [...TRACKER_ENTRIES, ...POSTGRES_ENTRIES],
  },
  {
    title: "core, tracker, Redis, and store on SQLite",
    installer: "pnpm",
    packages: ["counter-core", "tracker", "counter-redis", "store-drizzle"],
    others: ["ioredis", "drizzle-orm", "better-sqlite3"],
    entries: [
      ...TRACKER_ENTRIES,
      ...SQLITE_ENTRIES,
      "@usage/counter-redis",
      "@usage/counter-core/internal",
      "@usage/counter-redis/internal",
    ],
  },
];
