import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { utcMonths } from "@usage/counter-core";
import type { ThresholdEvent } from "@usage/tracker";
import { Webhook } from "standardwebhooks";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { ProxyParts } from "../../src/compose.ts";
import type { BackendConfig, ProxyConfig, WebhookConfig } from "../../src/config/proxy-config.ts";
import { sign } from "../../src/webhooks/sign.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";
import { scrape } from "../support/metrics.ts";
import { type Behaviour, Receiver, SECRET } from "../support/receiver.ts";
import { SOON } from "../support/shared-proxies.ts";

const PERIOD = utcMonths.at(Date.now()).key;
const TIMES = { timeoutMs: 1_500, retryMs: { first: 2_000, max: 2_000 } };
/** Of events that are told again after a pause. */
const LATER = { timeout: 40_000, interval: 50 };

function webhookTo({ url }: Receiver, changes: Partial<WebhookConfig> = {}): WebhookConfig {
  return { name: "ops", url, headers: {}, secret: SECRET, format: "json", ...changes };
}

/** A proxy with one backend that may take ten requests. */
async function start(webhooks: readonly WebhookConfig[], backend: Partial<BackendConfig> = {}, parts: ProxyParts = {}) {
  const upstream = await startUpstream();
  const limits = { apiRequests: 10 };
  const config = testConfig([{ name: "oci", url: upstream.url, limits, ...backend }], { webhooks });
  const { app, proxy, admin } = await startApp(config, { webhookTimes: TIMES, ...parts });
  /** So many requests, which are then stored. */
  const use = async (requests: number): Promise<void> => {
    for (let n = 0; n < requests; n++) expect((await call(proxy, "/objects/1")).status).toBe(200);
    await app.flusher.flush();
  };
  const listed = async () => (await call(admin, "/api/webhooks")).json as { webhooks: readonly unknown[] };
  return { app, admin, config, use, listed };
}

const thresholdsOf = (events: readonly ThresholdEvent[]) => events.map(({ threshold }) => threshold);

describe("a webhook", () => {
  it("is told of each threshold once, signed, with its headers, in JSON", async () => {
    const receiver = await Receiver.start();
    const { use, admin, listed } = await start([webhookTo(receiver, { headers: { Authorization: "Bearer abc" } })]);
    await use(4);
    await use(1);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(1), SOON);
    await use(5);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(3), SOON);
    const [first, ...others] = receiver.verified();
    expect(first).toEqual({
      id: expect.stringMatching(/^\S{1,256}$/),
      backend: "oci",
      dimension: "apiRequests",
      threshold: 0.5,
      limit: 10,
      usage: 5,
      period: PERIOD,
    });
    expect(thresholdsOf(others).sort()).toEqual([0.8, 1]);
    for (const { method, path, headers } of receiver.deliveries) {
      expect([method, path]).toEqual(["POST", "/T0/hunter2"]);
      expect(headers).toMatchObject({ "content-type": "application/json", authorization: "Bearer abc" });
    }
    await vi.waitFor(async () => {
      expect((await listed()).webhooks).toEqual([
        {
          name: "ops",
          url: `${receiver.url.origin}/...`,
          format: "json",
          headers: ["Authorization"],
          signed: true,
          delivered: 3,
          failed: 0,
          failures: 0,
          lastDelivery: expect.stringMatching(/^\d{4}-/),
          trouble: null,
        },
      ]);
    }, SOON);
    expect((await scrape(admin)).value("usage_webhook_deliveries_total", { webhook: "ops" })).toBe(3);
  });

  it("is told by the thresholds of the backend, where that has its own", async () => {
    const receiver = await Receiver.start();
    const { use } = await start([webhookTo(receiver)], { thresholds: [0.3] });
    await use(10);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(1), SOON);
    // Another one would have come with it.
    await use(0);
    expect(thresholdsOf(receiver.verified())).toEqual([0.3]);
  });

  it("gets a sentence where it is Slack's, in which a name calls nobody", async () => {
    const receiver = await Receiver.start();
    const name = "<!channel> & co";
    const backend = { name, limits: { apiRequests: 2_000, egressBytes: 4 }, thresholds: [0.8, 1] };
    const { use } = await start([webhookTo(receiver, { format: "slack" })], backend);
    await use(4);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(2), SOON);
    const said = receiver.deliveries.map(({ body }) => JSON.parse(body) as unknown);
    const shown = "&lt;!channel&gt; &amp; co";
    expect(said).toHaveLength(2);
    expect(said).toContainEqual({ text: `${shown} has reached 80 % of its egress limit in ${PERIOD}: 4 B of 4 B` });
    expect(said).toContainEqual({ text: `${shown} has reached its egress limit in ${PERIOD}: 4 B of 4 B` });
  });

  it("is not asked again for what it was told, and the other one is told all the same", async () => {
    const [one, other] = [await Receiver.start(), await Receiver.start(() => 500)];
    const { use } = await start([webhookTo(one), webhookTo(other, { name: "other" })]);
    await use(5);
    await vi.waitFor(() => expect(other.deliveries.length).toBeGreaterThan(2), LATER);
    expect(one.verified()).toHaveLength(1);
    // Whoever is told, and however often, it is the same event.
    expect(new Set(other.verified().map(({ id }) => id))).toEqual(new Set(one.verified().map(({ id }) => id)));
  });
});

it("what is reached in this period is listed, by the thresholds of each backend", async () => {
  const receiver = await Receiver.start();
  const limits = { apiRequests: 10, egressBytes: 8, ingressBytes: 0 };
  const { use, admin } = await start([webhookTo(receiver)], { limits, thresholds: [0.3, 0.5] });
  const listed = async () => (await call(admin, "/api/thresholds")).json;
  expect(await listed()).toEqual({ period: PERIOD, reached: [] });
  await use(4);
  expect(await listed()).toEqual({
    period: PERIOD,
    reached: [
      { backend: "oci", dimension: "apiRequests", limit: 10, usage: 4, reached: [0.3] },
      { backend: "oci", dimension: "egressBytes", limit: 8, usage: 4, reached: [0.3, 0.5] },
    ],
  });
});

describe("a receiver that fails", () => {
  const cases: readonly (readonly [string, Behaviour, object])[] = [
    ["an error", (n) => (n < 2 ? 500 : 200), { code: "500", reason: "it answers 500; it is asked again" }],
    [
      "a refusal",
      (n) => (n < 2 ? 403 : 200),
      { code: "403", reason: "it answers 403; check its headers and its secret" },
    ],
  ];
  it.each(cases)("is told again after %s: the same event, under the same id", async (_, behaviour, trouble) => {
    const receiver = await Receiver.start(behaviour);
    const attempts: object[] = [];
    const { use } = await start([webhookTo(receiver)], {}, { onWebhook: (attempt) => attempts.push(attempt) });
    await use(5);
    await vi.waitFor(() => expect(attempts).toHaveLength(3), LATER);
    const events = receiver.verified();
    expect(events).toHaveLength(3);
    for (const event of events) expect(event).toEqual(events[0]);
    const [event] = events;
    expect(attempts).toEqual([
      ...[1, 2].map((failures) => ({ webhook: "ops", event, failures, trouble })),
      { webhook: "ops", event, failures: 2 },
    ]);
    await use(0);
    expect(receiver.deliveries).toHaveLength(3);
  });

  it("is not followed to where it redirects", async () => {
    const other = await Receiver.start();
    const receiver = await Receiver.start((n) => (n < 1 ? [307, { location: other.url.href }] : 200));
    const { use, listed } = await start([webhookTo(receiver)]);
    await use(5);
    await vi.waitFor(async () => expect((await listed()).webhooks).toMatchObject([{ delivered: 1, failed: 1 }]), SOON);
    expect(receiver.verified()).toHaveLength(2);
    expect(other.deliveries).toEqual([]);
  });

  it("is told when it is back", async () => {
    const receiver = await Receiver.start();
    await receiver.stop();
    const { use, listed, admin } = await start([webhookTo(receiver)]);
    await use(8);
    const reason = "it refuses connections; is it running, and is the port of its url right?";
    await vi.waitFor(async () => {
      expect((await listed()).webhooks).toMatchObject([{ delivered: 0, trouble: { code: "ECONNREFUSED", reason } }]);
    }, SOON);
    expect((await scrape(admin)).value("usage_webhook_failing", { webhook: "ops" })).toBeGreaterThan(0);
    await receiver.start();
    await vi.waitFor(
      async () => expect((await listed()).webhooks).toMatchObject([{ delivered: 2, trouble: null }]),
      SOON,
    );
    expect(thresholdsOf(receiver.verified()).sort()).toEqual([0.5, 0.8]);
  });

  it("is given up on for this attempt when it hangs, and holds up nobody else", { timeout: 40_000 }, async () => {
    const [hung, other] = [await Receiver.start((n) => (n < 1 ? "hang" : 200)), await Receiver.start()];
    const { use, listed } = await start([webhookTo(hung), webhookTo(other, { name: "other" })], { thresholds: [0.5] });
    await use(5);
    await vi.waitFor(() => expect(other.verified()).toHaveLength(1), SOON);
    await vi.waitFor(
      async () => {
        expect((await listed()).webhooks).toMatchObject([
          { delivered: 1, failed: 1 },
          { delivered: 1, failed: 0 },
        ]);
      },
      { timeout: 30_000 },
    );
    expect(new Set(hung.verified().map(({ id }) => id)).size).toBe(1);
  });

  it("does not hold up the end of the proxy, and is told by the next run", { timeout: 40_000 }, async () => {
    const receiver = await Receiver.start((n) => (n < 1 ? "hang" : 200));
    const webhookTimes = { timeoutMs: 9_000, retryMs: { first: 9_500, max: 9_500 } };
    const { app, use, config } = await start([webhookTo(receiver)], { thresholds: [0.5] }, { webhookTimes });
    await use(5);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(1), SOON);
    const begun = performance.now();
    expect(await app.stop({ graceMs: 0 })).toEqual({ cut: 0 });
    expect(performance.now() - begun).toBeLessThan(7_000);
    await startApp(config, { webhookTimes });
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(2), SOON);
    expect(new Set(receiver.verified().map(({ id }) => id)).size).toBe(1);
  });

  it("has been told once its status has come, however long the rest of its answer takes", async () => {
    const receiver = await Receiver.start(() => "trickle");
    const { use, listed } = await start([webhookTo(receiver)], { thresholds: [0.5] });
    await use(5);
    await vi.waitFor(async () => expect((await listed()).webhooks).toMatchObject([{ delivered: 1, failed: 0 }]), SOON);
    // It would be due again by then.
    await sleep(4_500);
    expect(receiver.verified()).toHaveLength(1);
  });

  it("is let answer when the proxy ends, and then not told again", { timeout: 40_000 }, async () => {
    const receiver = await Receiver.start(() => sleep(700, 204));
    const { app, use, config } = await start([webhookTo(receiver)], { thresholds: [0.5] });
    await use(5);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(1), SOON);
    await app.stop({ graceMs: 0 });
    await startApp(config, { webhookTimes: TIMES });
    // It would be due again by then.
    await sleep(4_500);
    expect(receiver.verified()).toHaveLength(1);
  });

  it("whose answer is no HTTP has not been told", async () => {
    const server = createServer((socket) => socket.on("error", () => {}).end("hello\r\n")).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const webhook = { name: "ops", url: new URL(`http://127.0.0.1:${port}`), headers: {}, format: "json" } as const;
    const { use, listed } = await start([webhook]);
    await use(5);
    await vi.waitFor(async () => {
      const reason = expect.stringContaining("valid HTTP");
      expect((await listed()).webhooks).toMatchObject([{ delivered: 0, trouble: { reason } }]);
    }, SOON);
  });
});

describe("a signature", () => {
  it("is that of the library which receivers use, whatever is signed", () => {
    const body = '{"backend":"\u00fc\u{1f600}"}';
    const timestamp = Math.floor(Date.now() / 1_000);
    const signature = sign(SECRET, { id: "a.b", timestamp, body });
    expect(signature).toBe(new Webhook(SECRET).sign("a.b", new Date(timestamp * 1_000), body));
  });

  it("fits nothing else: no other body, id, time or secret", async () => {
    const receiver = await Receiver.start();
    const { use } = await start([webhookTo(receiver)]);
    await use(5);
    await vi.waitFor(() => expect(receiver.verified()).toHaveLength(1), SOON);
    const [{ headers, body } = expect.unreachable()] = receiver.deliveries;
    const given = {
      "webhook-id": String(headers["webhook-id"]),
      "webhook-timestamp": String(headers["webhook-timestamp"]),
      "webhook-signature": String(headers["webhook-signature"]),
    };
    const webhook = new Webhook(SECRET);
    expect(() => webhook.verify(body, given)).not.toThrow();
    expect(() => webhook.verify(body.replace('"usage":5', '"usage":4'), given)).toThrow();
    expect(() => webhook.verify(body, { ...given, "webhook-id": "x" })).toThrow();
    expect(() =>
      webhook.verify(body, { ...given, "webhook-timestamp": `${Number(given["webhook-timestamp"]) - 1}` }),
    ).toThrow();
    expect(() => receiver.verified(`whsec_${Buffer.alloc(32).toString("base64")}`)).toThrow();
  });

  it("is absent where there is no secret; the id and the time are there", async () => {
    const receiver = await Receiver.start();
    const { secret: _, ...unsigned } = webhookTo(receiver);
    const { use } = await start([unsigned], { thresholds: [0.5] });
    await use(5);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(1), SOON);
    const {
      "webhook-signature": signature,
      "webhook-id": id,
      "webhook-timestamp": time,
    } = receiver.deliveries[0]?.headers ?? {};
    expect([signature, id, Math.abs(Number(time) - Date.now() / 1_000) < 60]).toEqual([
      undefined,
      expect.any(String),
      true,
    ]);
  });
});

describe("a reload", () => {
  const taken = ({ app, config }: Awaited<ReturnType<typeof start>>, changes: Partial<ProxyConfig>) =>
    app.live.take(async () => ({ ...config, ...changes }));

  it("takes over webhooks: what is owed goes to the new address, and who is new is told all of this period", async () => {
    const [away, moved, added] = [await Receiver.start(), await Receiver.start(), await Receiver.start()];
    await away.stop();
    const started = await start([webhookTo(away)], { thresholds: [0.5] });
    await started.use(5);
    await vi.waitFor(async () => expect((await started.listed()).webhooks).toMatchObject([{ delivered: 0 }]), SOON);
    const webhooks = [webhookTo(moved), webhookTo(added, { name: "new" })];
    expect(await taken(started, { webhooks })).toMatchObject({ changed: [], needRestart: [] });
    await vi.waitFor(() => expect([moved.verified().length, added.verified().length]).toEqual([1, 1]), SOON);
    await taken(started, { webhooks: [] });
    expect(await started.listed()).toEqual({ thresholds: [0.5, 0.8, 1], webhooks: [] });
    await started.use(5);
    await started.use(0);
    expect([moved.deliveries.length, added.deliveries.length]).toEqual([1, 1]);
  });

  it("takes over thresholds: those that are already reached are told now", async () => {
    const receiver = await Receiver.start();
    const started = await start([webhookTo(receiver)], { thresholds: [1] });
    await started.use(5);
    const [backend = expect.unreachable()] = started.config.backends;
    const change = await taken(started, { backends: [{ ...backend, thresholds: [0.2, 1] }] });
    expect(change).toMatchObject({ changed: ["oci"] });
    await vi.waitFor(() => expect(thresholdsOf(receiver.verified())).toEqual([0.2]), SOON);
  });

  it("begins anew with a limit that changes: what is reached of it already is told now", async () => {
    const receiver = await Receiver.start();
    const started = await start([webhookTo(receiver)], { thresholds: [0.5] });
    await started.use(5);
    await vi.waitFor(() => expect(receiver.verified()).toHaveLength(1), SOON);
    const [backend = expect.unreachable()] = started.config.backends;
    await taken(started, { backends: [{ ...backend, limits: { apiRequests: 9 } }] });
    await vi.waitFor(() => expect(receiver.verified()).toHaveLength(2), SOON);
    const [before, after] = receiver.verified();
    expect([before?.limit, after?.limit, before?.id === after?.id]).toEqual([10, 9, false]);
  });
});
