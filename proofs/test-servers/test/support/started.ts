import { type FaultProxy, type RedisOptions, type RedisServer, startFaultProxy, startRedis } from "@usage/test-servers";
import { onTestFinished } from "vitest";

/** A server that is stopped when the test ends. */
export async function redis(options?: RedisOptions): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

/** A proxy that is closed when the test ends. */
export async function faultProxy(port: number): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ port });
  onTestFinished(() => proxy.close());
  return proxy;
}
