import { isoWeeks, memoryStore } from "@usage/counter-core";
import { describe, expect, it } from "vitest";
import type { ClientReport } from "../../src/admin/api/clients.ts";
import type { MadeGrant } from "../../src/admin/api/grants/make-grant.ts";
import type { Address } from "../../src/config/address.ts";
import { startApp } from "../support/app.ts";
import { call } from "../support/call.ts";
import { clientOf, clientsOf, noon, startWithClients } from "./client-fixture.ts";

const PLANS = "{ free: { day: { apiRequests: 2 } }, pro: { week: { apiRequests: 5 } } }";
const SOON = { timeout: 2_000, interval: 50 };

function change(admin: Address) {
  return (method: string, path: string, given?: unknown, headers: Record<string, string> = {}) => {
    const body = given === undefined ? "" : JSON.stringify(given);
    return call(admin, `/api/${path}`, { method, headers: { ...headers, "content-length": body.length }, body });
  };
}

const requestsIn = ({ windows }: Pick<ClientReport, "windows">) =>
  Object.entries(windows).map(([window, { usage, limits }]) => [window, usage.apiRequests, limits.apiRequests ?? null]);

async function start(clients: Readonly<Record<string, string>>) {
  const said: string[] = [];
  const made: MadeGrant[] = [];
  const parts = {
    clock: noon(),
    onComplaint: (complaint: string) => said.push(complaint),
    onGrant: (grant: MadeGrant) => made.push(grant),
  };
  const started = await startWithClients({ plans: PLANS, clients }, parts);
  const { admin, app } = started;
  const again = async () => {
    const next = await startApp({ ...app.live.config, listen: { host: "127.0.0.1", port: 0 } }, parts);
    return { ...next, change: change(next.admin) };
  };
  return { ...started, said, made, again, change: change(admin) };
}

describe("limits and plans of clients that are changed by API", () => {
  it("win over the file until they are taken back, in the whole fleet within two seconds, and after a restart", async () => {
    const { admin, ask, again, take, change } = await start({ web: "plan: free", batch: "plan: free", llm: "" });
    const other = await again();
    for (const status of [200, 200, 429]) expect((await ask("web")).status).toBe(status);
    const put = await change("PUT", "clients/web/plan", { plan: "pro", by: "ada", reason: "has paid" });
    const changed = { from: "api", value: "pro", revision: 1, by: "ada", at: expect.any(String) };
    expect([put.status, put.headers.etag]).toEqual([200, '"1"']);
    expect(put.json).toEqual({ name: "web", setting: "plan", ...changed });
    expect((await ask("web")).status).toBe(200);
    const web = await clientOf(admin, "web");
    expect(web).toMatchObject({
      plan: "pro",
      missingPlan: null,
      settings: { plan: changed, limits: { from: "file" } },
    });
    expect(web && requestsIn(web)).toEqual([
      ["month", 3, null],
      ["week", 1, 5],
    ]);
    // Of all who have it.
    await change("PUT", "plans/free/limits", { limits: { day: { apiRequests: 4, egressBytes: "1 GB" } } });
    await change("PUT", "clients/llm/limits", { limits: { hour: { apiRequests: 1 } }, by: "eve" });
    const seen = async () => {
      const { plans, planSettings, clients } = await clientsOf(other.admin);
      return {
        plans,
        planSettings,
        clients: clients.map(({ name, windows }) => [name, requestsIn({ windows })[1]?.[2]]),
      };
    };
    const free = { day: { apiRequests: 4, egressBytes: 1e9 } };
    await expect.poll(seen, SOON).toMatchObject({
      plans: { free, pro: { week: { apiRequests: 5 } } },
      planSettings: { free: { limits: { from: "api", value: free, revision: 2 } }, pro: { limits: { revision: 0 } } },
      clients: [
        ["batch", 4],
        ["llm", 1],
        ["web", 5],
      ],
    });
    expect([(await ask("llm")).status, (await ask("llm")).status]).toEqual([200, 429]);
    // Another file changes nothing of it, and another instance begins with it.
    await take({
      plans: "{ free: {}, pro: { week: { apiRequests: 5 } } }",
      clients: { web: "", batch: "plan: free", llm: "" },
    });
    const third = await again();
    for (const at of [admin, third.admin]) {
      expect(await clientOf(at, "web")).toMatchObject({ plan: "pro" });
      expect(await clientOf(at, "batch")).toMatchObject({ windows: { day: { limits: { apiRequests: 4 } } } });
    }
    const back = await change("DELETE", "plans/free/limits");
    expect(back.json).toMatchObject({ from: "file", value: {}, revision: 4, by: "127.0.0.1" });
    await change("PUT", "clients/batch/plan", { plan: null });
    expect(await clientOf(admin, "batch")).toMatchObject({
      plan: null,
      settings: { plan: { from: "api", value: null, revision: 5 } },
    });
    expect((await change("DELETE", "clients/batch/plan", { by: "mel" })).json).toMatchObject({
      from: "file",
      value: "free",
      by: "mel",
    });
    const rows = async (query = "") => {
      const { json } = await call(admin, `/api/changes${query}`);
      return json as { unused: string[]; changes: Record<string, unknown>[] };
    };
    const { changes } = await rows();
    const named = changes.map(({ backend = null, client = null, plan = null }) => [backend, client, plan]);
    expect(named).toEqual([
      [null, "batch", null],
      [null, "batch", null],
      [null, null, "free"],
      [null, "llm", null],
      [null, null, "free"],
      [null, "web", null],
    ]);
    expect(changes.slice(0, 3)).toMatchObject([
      { setting: "plan", before: null, after: null, from: "file" },
      { setting: "plan", before: "free", after: null, from: "api" },
      { setting: "limits", before: { day: { apiRequests: 4 } }, after: null, from: "file" },
    ]);
    expect((await rows("?plan=free")).changes.map(({ revision }) => revision)).toEqual([4, 2]);
    expect((await rows("?client=web")).changes).toMatchObject([{ client: "web", by: "ada", reason: "has paid" }]);
    expect((await call(admin, "/api/changes?client=web&plan=free")).status).toBe(400);
  });

  it("are refused where they cannot be meant, with what, where and what to do, and nothing is changed", async () => {
    const { admin, change } = await start({ web: "plan: free" });
    const before = await clientsOf(admin);
    const limited = (limits: string) => JSON.parse(`{"limits":${limits}}`);
    const wrong = [
      ["clients/web/limits", limited('{"day":{"apiRequests":-1}}'), "limits.day.apiRequests: expected a whole number"],
      ["clients/web/limits", limited('{"day":{"classZ":1}}'), "limits.day.classZ: unknown key; known here: apiReq"],
      ["clients/web/limits", limited('{"day":{"egressBytes":"5 potatoes"}}'), "limits.day.egressBytes: "],
      [
        "clients/web/limits",
        limited('{"fortnight":{}}'),
        "limits.fortnight: unknown key; known here: month, week, day",
      ],
      ["clients/web/limits", limited('{"apiRequests":1}'), "limits.apiRequests: unknown key"],
      ["clients/web/limits", limited('{"__proto__":{"apiRequests":9}}'), "limits.__proto__: "],
      [
        "clients/web/limits",
        limited('{"day":{"__proto__":{"apiRequests":9}}}'),
        "limits.day.__proto__: cannot be a name",
      ],
      ["clients/web/limits", JSON.parse('{"limits":{},"__proto__":{}}'), "__proto__: "],
      ["clients/web/limits", {}, "limits: "],
      ["plans/free/limits", limited('{"day":{"apiRequests":1.5}}'), "limits.day.apiRequests"],
      ["plans/free/limits", limited("[]"), "limits: expected a map with month, week"],
      ["clients/web/plan", { plan: "proo" }, 'plan: there is no plan "proo"; did you mean pro?'],
      ["clients/web/plan", { plan: "__proto__" }, 'plan: there is no plan "__proto__"; known are free, pro'],
      ["clients/web/plan", { plan: 5 }, "plan: expected the name of one of the plans, or null"],
      ["clients/web/plan", {}, "plan: is missing"],
    ] as const;
    for (const [path, body, detail] of wrong) {
      const { status, json } = await change("PUT", path, body);
      expect([status, (json as { detail: string }).detail]).toEqual([400, expect.stringContaining(detail)]);
    }
    for (const path of [
      "clients/nobody/limits",
      "clients/nobody/plan",
      "plans/gold/limits",
      "plans/__proto__/limits",
    ]) {
      expect((await change("PUT", path, path.endsWith("plan") ? { plan: null } : { limits: {} })).status).toBe(404);
    }
    const rivals = await Promise.all(
      ["ada", "eve"].map((by) => change("PUT", "clients/web/plan", { plan: "pro", by }, { "if-match": '"0"' })),
    );
    expect(rivals.map(({ status }) => status).sort()).toEqual([200, 412]);
    const loser = rivals.find(({ status }) => status === 412);
    expect(loser?.json).toMatchObject({ setting: "plan", value: "pro", revision: 1, from: "api" });
    await change("DELETE", "clients/web/plan", undefined, { "if-match": '"1"' });
    const { clients, ...rest } = await clientsOf(admin);
    expect({ ...rest, windows: before.windows }).toEqual({ ...before, clients: undefined });
    expect(clients).toMatchObject([{ name: "web", plan: "free", settings: { plan: { from: "file", value: "free" } } }]);
  });

  it("leave a client within limits when its plan is gone from the file, and say so", async () => {
    const { admin, ask, take, change, said, again } = await start({ web: "plan: free", batch: "" });
    for (const name of ["web", "batch"]) await change("PUT", `clients/${name}/plan`, { plan: "pro" });
    await change("PUT", "plans/pro/limits", { limits: { week: { apiRequests: 100 } } });
    expect([(await ask("web")).status, (await ask("batch")).status]).toEqual([200, 200]);
    const free = "{ free: { day: { apiRequests: 1 } } }";
    await take({ plans: free, clients: { web: "plan: free", batch: "" } });
    const complaint = expect.stringMatching(
      /^the plan "pro", which client "web", client "batch" had by API, is not in the config/,
    );
    expect(said).toEqual([complaint]);
    const other = await again();
    for (const at of [admin, other.admin]) {
      expect((await call(at, "/api/usage")).json).toMatchObject({ config: { complaints: [complaint], error: null } });
      const fallen = { from: "file", revision: expect.any(Number) };
      expect(await clientOf(at, "web")).toMatchObject({
        plan: "free",
        missingPlan: "pro",
        settings: { plan: { ...fallen, value: "free" } },
        windows: { day: { limits: { apiRequests: 1 } } },
      });
      // The file says that it has no limits; whoever has put it into a plan did not.
      expect(await clientOf(at, "batch")).toMatchObject({ plan: null, missingPlan: "pro", withinLimits: false });
    }
    expect([(await ask("web")).status, (await ask("batch")).status]).toEqual([200, 429]);
    const { json } = await call(admin, "/api/changes");
    expect(json).toMatchObject({ unused: [], unusedClients: [], unusedPlans: ["pro"] });
    expect((await change("PUT", "plans/pro/limits", { limits: {} })).status).toBe(404);
    await change("DELETE", "clients/batch/plan");
    expect((await ask("batch")).status).toBe(200);
    await take({ plans: PLANS, clients: { web: "plan: free" } });
    expect(await clientOf(admin, "web")).toMatchObject({
      plan: "pro",
      missingPlan: null,
      windows: { week: { limits: { apiRequests: 100 } } },
    });
    expect((await call(admin, "/api/usage")).json).toMatchObject({ config: { complaints: [] } });
    expect(said).toHaveLength(3);
  });

  it("never open a limit while what was used in a new window cannot be read, and are in force once it can", async () => {
    const memory = memoryStore();
    let isDown = false;
    const totals: typeof memory.totals = (...query) =>
      isDown ? Promise.reject(new Error("the database is away")) : memory.totals(...query);
    const clock = noon();
    const week = `week:${isoWeeks.at(clock.now()).key}`;
    await memory.merge([{ writer: "import", period: week, backend: "web", usage: { apiRequests: 4 } }]);
    const parts = { clock, clientStore: { ...memory, totals } };
    const { admin, ask } = await startWithClients({ plans: PLANS, clients: { web: "plan: free" } }, parts);
    const ask2 = async () => [(await ask("web")).status, (await ask("web")).status];
    expect(await ask2()).toEqual([200, 200]);
    isDown = true;
    const put = await change(admin)("PUT", "clients/web/plan", { plan: "pro" });
    expect(put.json).toMatchObject({ status: 503, detail: expect.stringContaining("the database is away") });
    expect(await ask2()).toEqual([429, 429]);
    expect(await clientOf(admin, "web")).toMatchObject({ plan: "free" });
    isDown = false;
    await expect.poll(async () => (await clientOf(admin, "web"))?.plan, SOON).toBe("pro");
    expect(await ask2()).toEqual([200, 429]);
  });
});

describe("POST /api/clients/:name/grants", () => {
  it("raises a limit of a client for one period of one window, once, in the whole fleet within two seconds", async () => {
    const { admin, ask, again, change, made } = await start({ web: "plan: free", batch: "plan: free" });
    const other = await again();
    for (const status of [200, 200, 429]) expect((await ask("web")).status).toBe(status);
    const [day] = new Date(noon().now()).toISOString().split("T");
    const period = `day:${day}`;
    const grant = { id: "ticket-4711", amounts: { apiRequests: 2 }, reason: "our outage", by: "ada" };
    const first = await change("POST", "clients/web/grants", { ...grant, window: "day" });
    const given = { id: grant.id, amounts: grant.amounts };
    const answer = { name: "web", window: "day", period, ...given, granted: given.amounts, limits: { apiRequests: 4 } };
    expect([first.status, first.json]).toEqual([201, answer]);
    const second = await other.change("POST", "clients/web/grants", { ...grant, window: "day", period });
    expect([second.status, second.json]).toEqual([200, answer]);
    expect(made).toEqual([{ client: "web", window: "day", period, ...grant }]);
    expect([(await ask("web")).status, await clientOf(admin, "web")]).toMatchObject([
      200,
      { usedPart: 0.75, windows: { day: { limits: { apiRequests: 4 }, granted: { apiRequests: 2 }, usedPart: 0.75 } } },
    ]);
    const { text } = await call(admin, "/metrics");
    expect(text).toContain('\nusage_client_limit{client="web",window="day",dimension="apiRequests"} 4\n');
    // By month, unless another window is named; nothing limits it there. Nobody has asked the other instance.
    await change("POST", "clients/batch/grants", { id: "1", amounts: { egressBytes: "1 KiB" }, reason: "r" });
    await change("POST", "clients/batch/grants", { id: "1", amounts: { apiRequests: 7 }, reason: "r", window: "day" });
    const limit = async () => (await clientOf(other.admin, "batch"))?.windows.day?.limits.apiRequests;
    await expect.poll(limit, SOON).toBe(9);
    const month = period.slice(4, 11);
    const [ofDay, ofMonth] = [
      { period, amounts: { apiRequests: 7 } },
      { period: month, amounts: { egressBytes: 1_024 } },
    ];
    expect((await call(other.admin, "/api/clients/batch/grants")).json).toMatchObject({
      client: "batch",
      grants: [ofDay, ofMonth],
    });
    expect((await call(admin, `/api/clients/batch/grants?period=${month}`)).json).toMatchObject({ grants: [ofMonth] });
    expect((await call(admin, "/api/changes?client=web")).json).toMatchObject({
      changes: [{ client: "web", setting: "grant", revision: null, after: { period, ...given }, by: "ada" }],
    });
    const { json } = await call(admin, "/api/changes");
    expect((json as { changes: unknown[] }).changes).toHaveLength(3);
  });

  it("grants nothing that cannot be meant", async () => {
    const { admin, change } = await start({ web: "plan: free, limits: { minute: { apiRequests: 1 } }" });
    const grant = { id: "1", amounts: { apiRequests: 2 }, reason: "r" };
    const wrong = [
      [
        { ...grant, window: "minute" },
        400,
        'window: "web" can be granted more by month, day; it is counted in no other',
      ],
      [{ ...grant, window: "week" }, 400, 'window: "web" can be granted more by month, day; it is counted in no other'],
      [{ ...grant, window: "fortnight" }, 400, "window: expected one of month, week, day"],
      [{ ...grant, amounts: { classZ: 1 } }, 400, "amounts.classZ: unknown key; known here: apiRequests"],
      [{ ...grant, amounts: JSON.parse('{"apiRequests":1,"__proto__":1}') }, 400, "amounts.__proto__: cannot be"],
      [{ ...grant, period: "2020-01" }, 409, "nothing was granted. GET /api/clients/web/grants?period=2020-01"],
      [{ ...grant, reason: "" }, 400, "reason: expected a reason"],
    ] as const;
    for (const [body, status, detail] of wrong) {
      const reply = await change("POST", "clients/web/grants", body);
      expect(reply.json).toMatchObject({ status, detail: expect.stringContaining(detail) });
    }
    expect((await change("POST", "clients/nobody/grants", grant)).status).toBe(404);
    expect((await call(admin, "/api/clients/nobody/grants")).status).toBe(404);
    const listed = async (period: string) => (await call(admin, `/api/clients/web/grants?period=${period}`)).status;
    for (const none of [
      "%00",
      "__proto__",
      "2026-13",
      "2026-02-30",
      "day:2026-01",
      "week:2026-W54",
      "hour:2026-01-31T13",
    ]) {
      expect([none, await listed(none)]).toEqual([none, 400]);
    }
    for (const later of ["9999-12", "9999-12-31", "day:9999-12-31"])
      expect([later, await listed(later)]).toEqual([later, 400]);
    for (const one of ["2026-01-31", "week:2026-W05"]) expect([one, await listed(one)]).toEqual([one, 200]);
    await change("POST", "clients/web/grants", grant);
    const other = await change("POST", "clients/web/grants", { ...grant, amounts: { apiRequests: 3 } });
    expect(other.json).toMatchObject({ status: 409, detail: expect.stringContaining('"apiRequests":2') });
    expect((await call(admin, "/api/clients/web/grants")).json).toMatchObject({ grants: [{ id: "1", by: null }] });
  });
});
