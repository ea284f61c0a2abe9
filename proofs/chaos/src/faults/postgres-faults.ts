import type { FaultProxy, PostgresServer } from "@usage/test-servers";
import postgres from "postgres";
import type { Act, Faults, Lost, Pause } from "./fault.ts";
import { proxyFaults } from "./proxy-faults.ts";

/** A Postgres, and the proxy in front of it. */
export interface ProxiedPostgres {
  readonly server: PostgresServer;
  readonly proxy: FaultProxy;
}

export const postgresFaults: Faults<ProxiedPostgres> = {
  ...overProxy(),
  "killed and started again": {
    async inject({ server }, { forMs }, pause) {
      await server.kill();
      await pause(forMs);
      await server.start();
    },
  },
  "connections terminated": {
    async inject({ server }, { forMs }, pause) {
      const times = 3;
      for (let i = 0; i < times; i++) {
        await terminateAll(server.url);
        await pause(forMs / times);
      }
    },
  },
};

async function terminateAll(url: string): Promise<void> {
  const sql = postgres(url, { max: 1 });
  try {
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
              where backend_type = 'client backend' and pid <> pg_backend_pid()`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function overProxy(): Faults<ProxiedPostgres> {
  return Object.fromEntries(
    Object.entries(proxyFaults).map(([kind, fault]) => [
      kind,
      {
        inject: ({ proxy }: ProxiedPostgres, act: Act, pause: Pause, lost: Lost) =>
          fault.inject(proxy, act, pause, lost),
      },
    ]),
  );
}
