import { describe, expect, it } from "vitest";
import type { ClientsReport } from "../../src/admin/api/clients.ts";
import type { Address } from "../../src/config/address.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { send } from "../proxy/client.ts";
import { startUpstream } from "../proxy/node-upstream.ts";
import { call } from "../support/call.ts";
import { startConfigured } from "../support/configured-app.ts";

const key = (name: string): string => `key-of-${name}-0123456789`;
const as = (name: string) => ({ headers: { authorization: `Bearer ${key(name)}` } });

interface Settings {
  readonly plans?: string;
  readonly clients: Readonly<Record<string, string>>;
  readonly limits?: string;
  readonly more?: string;
}

const settings = (url: string, { plans = "{}", clients, limits = "{}", more = "" }: Settings): string => `
plans: ${plans}
clients:
${Object.entries(clients)
  .map(([name, of]) => `- { name: ${name}, key: ${key(name)}, ${of} }`)
  .join("\n")}
backends: [{ name: llm, url: "${url}", limits: ${limits} }]
${more}`;

/** A proxy whose one backend sends so many bytes as the path says. */
async function start(given: Settings) {
  const upstream = await startUpstream((request, response) => {
    request.resume().on("end", () => response.end(Buffer.alloc(Number(/^\/(\d+)/.exec(request.url ?? "")?.[1] ?? 0))));
  });
  const url = `http://127.0.0.1:${upstream.port}`;
  const started = await startConfigured(settings(url, given));
  const ask = (name: string, path = "/10", options = {}) => send(started.proxy.port, path, { ...as(name), ...options });
  const take = (next: Settings) =>
    started.app.live.take(async () => ({
      ...started.app.live.config,
      ...parseConfig(settings(url, next), { file: "next.yaml", folder: "/" }),
      listen: started.app.live.config.listen,
    }));
  return { ...started, upstream, ask, take };
}

const clients = async (admin: Address, query = ""): Promise<ClientsReport> =>
  (await call(admin, `/api/clients${query}`)).json as ClientsReport;

describe("a client with limits of its own", () => {
  it("is counted in its windows by the same requests and bytes as the backend, and refused before a backend is asked", async () => {
    const { app, admin, ask, upstream } = await start({
      plans: "{ free: { day: { apiRequests: 3 }, month: { egressBytes: 1MB } } }",
      clients: { web: "plan: free", batch: "" },
    });
    expect((await ask("web", "/1000", { method: "PUT", body: "x".repeat(500) })).status).toBe(200);
    expect([(await ask("web")).status, (await ask("web")).status]).toEqual([200, 200]);
    const refused = await ask("web");
    expect(refused.status).toBe(429);
    const [day] = new Date().toISOString().split("T");
    expect(JSON.parse(refused.text)).toMatchObject({
      client: "web",
      window: "day",
      dimensions: ["apiRequests"],
      reason: "limit",
      "violated-policies": ["day:apiRequests"],
      error: { code: "insufficient_quota" },
      detail: expect.stringContaining(
        `There is no room left for the client web. The limit of apiRequests in the window day (${day})`,
      ),
    });
    expect(refused.headers).toMatchObject({ "x-should-retry": "false" });
    expect(refused.headers["retry-after"]).toBeUndefined();
    expect(refused.headers.ratelimit).toContain('"day:apiRequests";r=0');
    expect(upstream.requests).toHaveLength(3);
    expect((await ask("batch")).status).toBe(200);

    expect(app.tracker.counter.totalAll("llm")).toEqual({ apiRequests: 4, egressBytes: 1030, ingressBytes: 500 });
    const used = { apiRequests: 3, egressBytes: 1020, ingressBytes: 500 };
    const report = await clients(admin);
    expect(report).toMatchObject({ total: 2, matching: 2, offset: 0, windows: ["month", "day"] });
    expect(report.plans).toEqual({ free: { day: { apiRequests: 3 }, month: { egressBytes: 1e6 } } });
    expect(report.clients).toMatchObject([
      {
        name: "web",
        plan: "free",
        refused: 1,
        withinLimits: false,
        usedPart: 1,
        window: "day",
        dimension: "apiRequests",
        windows: {
          month: { usage: used, limits: { egressBytes: 1e6 }, usedPart: 0.00102, withinLimits: true },
          day: { period: { key: `day:${day}` }, usage: used, limits: { apiRequests: 3 }, withinLimits: false },
        },
      },
      { name: "batch", plan: null, refused: 0, withinLimits: true, usedPart: null, window: null, dimension: null },
    ]);
    expect(Object.keys(report.clients[1]?.windows ?? {})).toEqual(["month"]);
  });
});
