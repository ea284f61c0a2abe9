import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of a Postgres database in which a test may create schemas of its own, and nothing else. */
    readonly databaseUrl: string;
  }
}

/** A `globalSetup` for vitest: provides `databaseUrl`, of the server in DATABASE_URL or of one started for this run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== "") {
    project.provide("databaseUrl", given);
    console.log("Postgres: the one in DATABASE_URL");
    return async () => {};
  }
  const server = await startPostgres();
  project.provide("databaseUrl", server.url);
  console.log(`Postgres: ${server.version}`);
  return server.stop;
}
