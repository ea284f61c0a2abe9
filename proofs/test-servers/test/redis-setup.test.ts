import { setup } from "@usage/test-servers/redis-setup";
import { afterEach, describe, expect, it, vi } from "vitest";
import { accepts } from "./support/accepts.ts";
import { redis } from "./support/started.ts";

describe("the Redis of a run", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  async function provided(): Promise<{ readonly url: string; readonly teardown: () => Promise<void> }> {
    let url = "";
    const teardown = await setup({
      provide: (name, value) => {
        if (name === "redisUrl") url = String(value);
      },
    });
    return { url, teardown };
  }

  it.each(["", undefined])("is one of its own, which ends with the run, when REDIS_URL is %j", async (given) => {
    vi.stubEnv("REDIS_URL", given);
    const { url, teardown } = await provided();
    expect(await accepts(url)).toBe(true);
    await teardown();
    expect(await accepts(url)).toBe(false);
  });

  it("is the one in REDIS_URL, which stays as it is", async () => {
    const server = await redis();
    vi.stubEnv("REDIS_URL", server.url);
    const { url, teardown } = await provided();
    expect(url).toBe(server.url);
    await teardown();
    expect(await server.command("PING")).toBe("PONG");
  });

  it("fails at once when nothing answers at REDIS_URL", async () => {
    vi.stubEnv("REDIS_URL", "redis://127.0.0.1:1");
    await expect(provided()).rejects.toThrow("ECONNREFUSED");
  });
});
