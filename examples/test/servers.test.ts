import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { currentPeriod } from "@usage/counter-core";
import { describe, expect, it } from "vitest";
import { RunningExample } from "./support/run-example.ts";
import { storeBefore, storedIn } from "./support/stored.ts";
import { tempFolder } from "./support/temp-folder.ts";

const ACME = { "x-api-key": "key-of-acme" };
const GLOBEX = { "x-api-key": "key-of-globex" };
const LARGE = 2_000 * 65_536;

/** A request whose answer is not read yet. */
async function open(url: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  const [answer] = (await once(get(url, { headers, agent: false }), "response")) as [IncomingMessage];
  return answer;
}

describe.each(["hono.ts", "express.ts", "fastify.ts"])("%s", (file) => {
  it("knows tenants by their keys, refuses the request that is one too many, and stores what went out", async () => {
    const folder = tempFolder();
    await storeBefore(folder, { acme: { apiRequests: 997, egressBytes: 100 }, globex: { egressBytes: 2 ** 20 } });
    const example = new RunningExample(file, folder);
    const url = await example.url();

    for (const headers of [{}, { "x-api-key": "key-of-nobody" }]) {
      expect((await fetch(url, { headers })).status).toBe(403);
    }
    for (let i = 0; i < 2; i++) {
      const answer = await fetch(url, { headers: ACME });
      expect([answer.status, await answer.text()]).toEqual([200, "hello\n"]);
    }
    expect((await fetch(`${url}/large`, { method: "HEAD", headers: ACME })).status).toBe(200); // no body goes out

    const refused = await fetch(url, { headers: ACME });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(refused.headers.has("retry-after")).toBe(false); // clients would sleep for weeks
    expect(refused.headers.get("ratelimit")).toMatch(/^"apiRequests";r=0;t=\d+, "egressBytes";r=\d+;t=\d+$/);
    expect(refused.headers.get("ratelimit-policy")).toContain(`"apiRequests";q=1000;qu="requests"`);
    expect(await refused.json()).toMatchObject({ status: 429, "violated-policies": ["apiRequests"] });

    const full = await fetch(url, { headers: GLOBEX });
    expect(full.status).toBe(429);
    expect(await full.json()).toMatchObject({ "violated-policies": ["egressBytes"] });

    example.terminate();
    await example.ended();
    expect(await storedIn(folder)).toEqual([
      { period: currentPeriod(), backend: "acme", usage: { apiRequests: 1_000, egressBytes: 100 + 2 * 6 } },
      { period: currentPeriod(), backend: "globex", usage: { egressBytes: 2 ** 20 } },
    ]);
  });

  it("counts what went out of a large answer: all of it while stopping, a part when the client leaves", async () => {
    const folder = tempFolder();
    const example = new RunningExample(file, folder);
    const url = `${await example.url()}/large`;

    const left = await open(url, GLOBEX);
    let taken = 0;
    for await (const piece of left) {
      taken += piece.length;
      if (taken > 2 ** 21) break; // which closes the connection
    }
    const refused = await fetch(url, { headers: GLOBEX });
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ "violated-policies": ["egressBytes"] });

    const whole = await open(url, ACME);
    example.terminate();
    let received = 0;
    for await (const piece of whole) received += piece.length;
    expect(received).toBe(LARGE);

    await example.ended();
    const [acme, globex] = await storedIn(folder);
    expect(acme).toMatchObject({ backend: "acme", usage: { apiRequests: 1, egressBytes: LARGE } });
    expect(globex).toMatchObject({ backend: "globex", usage: { apiRequests: 1 } });
    expect(globex?.usage.egressBytes).toBeGreaterThanOrEqual(taken);
    expect(globex?.usage.egressBytes).toBeLessThan(LARGE / 2);
  });
});
