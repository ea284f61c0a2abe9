import { type FaultProxy, type RedisOptions, type RedisServer, startFaultProxy, startRedis } from "@usage/test-servers";
import { onTestFinished } from "vitest";

/** A Redis of one test's own, stopped when the test is over. */
export async function redisServer(options?: RedisOptions): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

/** A proxy in front of the server of a URL, and the URL by way of it; closed when the test is over. */
export async function faultProxy(url: string): Promise<{ readonly proxy: FaultProxy; readonly url: string }> {
  const proxy = await startFaultProxy({ port: Number(new URL(url).port) });
  onTestFinished(() => proxy.close());
  return { proxy, url: proxy.url(url) };
}
