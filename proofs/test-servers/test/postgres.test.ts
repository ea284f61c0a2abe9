import { startPostgres } from "@usage/test-servers";
import { describe, expect, it } from "vitest";
import { accepts } from "./support/accepts.ts";

describe("startPostgres", () => {
  it("starts a server that can be killed, started again on the same port, and stopped", async () => {
    const server = await startPostgres();
    expect(server.version).toMatch(/^postgres \(PostgreSQL\) \d+/);
    expect(await accepts(server.url)).toBe(true);
    await server.kill();
    expect(await accepts(server.url)).toBe(false);
    await server.start();
    expect(await accepts(server.url)).toBe(true);
    await server.stop();
    await server.stop();
    expect(await accepts(server.url)).toBe(false);
  });
});
