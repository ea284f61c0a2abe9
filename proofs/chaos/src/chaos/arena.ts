import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from "@usage/test-servers";
import type { ProxiedPostgres } from "../faults/postgres-faults.ts";
import { RedisPair } from "../faults/redis-pair.ts";

/** The servers, each behind a proxy that breaks what passes. */
export class Arena implements AsyncDisposable {
  readonly redis: RedisPair;
  readonly postgres: ProxiedPostgres;

  private constructor(redis: RedisPair, server: PostgresServer, proxy: FaultProxy) {
    this.redis = redis;
    this.postgres = { server, proxy };
  }

  static async start(): Promise<Arena> {
    const [redis, server] = await Promise.all([RedisPair.start(), startPostgres()]);
    return new Arena(redis, server, await startFaultProxy({ port: Number(new URL(server.url).port) }));
  }

  get databaseUrl(): string {
    return this.postgres.proxy.url(this.postgres.server.url);
  }

  get versions(): readonly string[] {
    return [this.redis.master.version, this.postgres.server.version];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.postgres.proxy.close();
    await Promise.all([this.redis.stop(), this.postgres.server.stop()]);
  }
}
