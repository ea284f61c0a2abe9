import { randomUUID } from "node:crypto";
import type {} from "@usage/test-servers/postgres-setup";
import postgres from "postgres";
import { inject } from "vitest";

/** An empty schema of the test's own, and a url whose connections see nothing else. */
export interface FreshSchema {
  /** The application name of its connections, too: other tests have theirs on the same server. */
  readonly name: string;
  readonly url: string;
  dispose(): Promise<void>;
}

export async function freshSchema(databaseUrl: string = inject("databaseUrl")): Promise<FreshSchema> {
  const name = `usage_test_${randomUUID().replaceAll("-", "")}`;
  await administer(databaseUrl, `create schema ${name}`);
  const url = new URL(databaseUrl);
  url.searchParams.set("search_path", name);
  url.searchParams.set("application_name", name);
  return { name, url: url.href, dispose: () => administer(databaseUrl, `drop schema ${name} cascade`) };
}

async function administer(databaseUrl: string, statement: string): Promise<void> {
  const client = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    await client.unsafe(statement);
  } finally {
    await client.end();
  }
}
