import { type Clock, type StorageDimension, systemClock, type UsageStore } from "@usage/counter-core";
import type { RedisEvent } from "@usage/counter-redis";
import { type DeliveryTimes, type TrackedCounter, UsageFlusher, UsageTracker } from "@usage/tracker";
import { adminRoutes } from "./admin/admin-routes.ts";
import type { MadeGrant } from "./admin/api/grants/make-grant.ts";
import { UsageRates } from "./admin/api/live/rates.ts";
import { Refusals } from "./admin/api/usage/refusals.ts";
import { guard } from "./admin/guard.ts";
import { FlushDurations } from "./admin/metrics/flush-durations.ts";
import { ProcessMetrics } from "./admin/metrics/process-metrics.ts";
import { AdminServer } from "./admin/server.ts";
import { Turns } from "./admin/turns.ts";
import { ClientUsage } from "./clients/client-usage.ts";
import type { ProxyConfig, TlsConfig } from "./config/proxy-config.ts";
import { claimOf } from "./counting/claim-of.ts";
import { countedDimensions } from "./counting/dimensions.ts";
import { ensureKnown, storeErrorOf } from "./counting/ensure-known.ts";
import { exactLimitsOf } from "./counting/exact-limits-of.ts";
import { Heartbeats } from "./counting/heartbeats.ts";
import { openCounter } from "./counting/open-counter.ts";
import { type OpenedStore, openStore } from "./counting/open-store.ts";
import type { OpenedCounter } from "./counting/opened-counter.ts";
import { TimelineFolder } from "./counting/timeline-folder.ts";
import { configuredUpstreams } from "./process/configured-upstreams.ts";
import { LiveConfig } from "./process/live-config.ts";
import type { KnownChange, SettingSubject } from "./process/setting-subject.ts";
import { Settings } from "./process/settings.ts";
import type { AccessLog } from "./proxy/access-entry.ts";
import { Router } from "./proxy/admission/route.ts";
import { ProxyServer } from "./proxy/server.ts";
import { ProxyApp } from "./proxy-app.ts";
import { Readiness } from "./readiness.ts";
import type { WebhookAttempt } from "./webhooks/delivery-status.ts";
import { Webhooks } from "./webhooks/webhooks.ts";

/** Names of clients may be those of backends. */
const CLIENT_TABLES = "usage_clients_";

/** Parts that stand in for the configured ones. Whoever hands a part in also closes it. */
export interface ProxyParts {
  /** @default systemClock */
  readonly clock?: Clock;
  /** Uniform in [0, 1). @default Math.random */
  readonly random?: () => number;
  /** @default what `config.counter` says */
  readonly counter?: TrackedCounter<StorageDimension>;
  /** @default what `config.store` says */
  readonly store?: UsageStore;
  /** What keeps the counts of clients. @default what `config.store` says */
  readonly clientStore?: UsageStore;
  /** Is told of every request that is over. @default nobody is */
  readonly accessLog?: AccessLog;
  /** Is told of whatever happens to counts that are shared through Redis. @default nobody is */
  readonly onRedis?: (event: RedisEvent) => void;
  /** Is told of every grant that operators make here. @default nobody is */
  readonly onGrant?: (grant: MadeGrant) => void;
  /** Is told of every setting that operators have changed here or elsewhere, as soon as it is in force. @default nobody is */
  readonly onSetting?: (change: KnownChange) => void;
  /** Is told of what was changed by API and cannot be in force, since the file does not have any more what it names. @default nobody is */
  readonly onComplaint?: (complaint: string) => void;
  /** Is told of every attempt to tell a webhook something. @default nobody is */
  readonly onWebhook?: (attempt: WebhookAttempt) => void;
  /** Is told why the store cannot be asked what webhooks are to be told. @default nobody is */
  readonly onWebhookError?: (error: unknown) => void;
  /** How long an attempt to tell a webhook something may take, and when it is repeated. @default 10 s; 30 s to 1 h */
  readonly webhookTimes?: DeliveryTimes;
}

/**
 * The composition root: every part is made here and handed to those who need it. What the store and the other instances know
 * of this period is loaded before it returns, so limits are never open; nothing listens before `start`.
 *
 * @throws StoreStartError when the store cannot be opened or read, CounterStartError when the counter cannot be shared; what
 * was opened is closed then.
 */
export async function compose(file: ProxyConfig, parts: ProxyParts = {}): Promise<ProxyApp> {
  const { clock = systemClock, random = Math.random } = parts;
  const { flush, timeouts, heads, routing: policy } = file;
  const dimensions = countedDimensions(file);
  // What is opened later is closed sooner.
  await using opened = new AsyncDisposableStack();
  const store =
    parts.store ?? opened.adopt(await openStore(file.store, { dimensions, timeline: true }), (store) => store.close());
  const settings = opened.adopt(new Settings({ store, clock, onChange: parts.onSetting }), (settings) =>
    settings.stop(),
  );
  // fault: begins with what the file says, whatever was changed by API
  await settings.load().catch((error: unknown) => {
    throw storeErrorOf(file.store, error);
  });
  const config = settings.apply(file);
  const claim = claimOf(config.store);
  const { counter, sharing, beside }: Omit<OpenedCounter, "close"> = parts.counter
    ? { ...(await openCounter({ kind: "local" }, { clock, dimensions })), counter: parts.counter }
    : opened.adopt(
        await openCounter(config.counter, { clock, dimensions, onRedis: parts.onRedis, ...(claim && { claim }) }),
        (counter) => counter.close(),
      );
  const limits = new Map(config.backends.map((backend) => [backend.name, backend.limits]));
  const tracker = new UsageTracker(counter, { store, limits, readTimeoutMs: flush.timeoutMs, clock });
  const admit = (names: readonly string[]): Promise<void> => ensureKnown(tracker, names, config.store);
  // fault: listens without knowing what was used before
  await admit(config.backends.map(({ name }) => name));

  const openClientStore = async (): Promise<OpenedStore> => {
    return parts.clientStore
      ? { ...parts.clientStore, close: async () => {} }
      : openStore(config.store, { dimensions, prefix: CLIENT_TABLES });
  };
  const clientUsage = opened.adopt(
    new ClientUsage({ config, dimensions, openStore: openClientStore, openCounter: beside, clock, random }),
    (usage) => usage.close(),
  );
  // fault: takes requests of clients without knowing what they used before
  (await clientUsage.prepare(config))();

  const terms = { timeouts, heads, dimensions: dimensions.length, settings, clock };
  const upstreams = configuredUpstreams(config.backends, [], terms);
  const router = new Router({
    tracker,
    upstreams,
    policy,
    routes: config.routes,
    dimensions: config.dimensions,
    exact: exactLimitsOf(config.counter),
  });
  const proxy = new ProxyServer({
    router,
    timeouts,
    heads,
    clock,
    trustedProxies: config.trustedProxies,
    tls: config.tls,
    clients: config.clients,
    clientUsage,
    ...(config.cors && { cors: config.cors }),
    ...(parts.accessLog && { accessLog: parts.accessLog }),
  });
  proxy.drainGraceMs = config.shutdown.graceMs;
  const flusher = new UsageFlusher({ ...flush, tracker, clock, random });
  const flushes = new FlushDurations();
  tracker.onFlush((event) => flushes.add(event));
  const rates = opened.adopt(new UsageRates({ counter, clock }), (rates) => rates.stop());
  rates.start();
  const answers = proxy.ownAnswers;
  const refusals = opened.adopt(new Refusals({ answers, router, counter, clock }), (refusals) => refusals.stop());
  refusals.start();
  const processMetrics = opened.adopt(new ProcessMetrics(), (metrics) => metrics.stop());
  const { onWebhook: onAttempt, onWebhookError: onError, webhookTimes: times } = parts;
  const webhooks = new Webhooks({ config, tracker, clientUsage, clock, onAttempt, onError, times });
  const operators = { setCertificate: (tls: TlsConfig) => admin.setCertificate(tls) };
  const live = new LiveConfig({
    config: file,
    settings,
    tracker,
    flusher,
    router,
    proxy,
    admin: operators,
    webhooks,
    clientUsage,
    clock,
    admit,
    onComplaint: parts.onComplaint,
  });
  const readiness = new Readiness(config.listen);
  const startedMs = clock.now();
  const address = () => readiness.address;
  const heartbeats = opened.adopt(new Heartbeats({ tracker, store, clock, startedMs, address }), (beats) =>
    beats.stop(),
  );
  const folder = opened.adopt(new TimelineFolder({ store, clock, random }), (folder) => folder.stop());
  folder.start();
  const api = {
    config,
    live: () => live.status(),
    settings,
    reapply: () => live.reapply(),
    isInFile: (subject: SettingSubject) => live.isInFile(subject),
    inForce: () => live.config,
    router,
    tracker,
    store,
    flusher,
    clock,
    rates,
    refusals,
    startedMs,
    heartbeats,
    webhooks,
    clientUsage,
    readiness,
    turns: new Turns(),
    ...(sharing && { sharing }),
    ...(parts.onGrant && { onGrant: parts.onGrant }),
  };
  const { listen, tls, ...access } = config.admin;
  const admin = new AdminServer({
    tls,
    guard: guard({ host: listen.host, ...access }),
    basePaths: (access.urls ?? []).map((url) => new URL(url).pathname),
    routes: adminRoutes({ ...api, flushes, proxy, processMetrics }),
  });
  const closing = opened.move();
  const closeParts = (): Promise<void> => closing.disposeAsync();
  return new ProxyApp({
    config,
    readiness,
    tracker,
    clientUsage,
    store,
    clock,
    closeParts,
    flusher,
    router,
    proxy,
    admin,
    live,
    settings,
    webhooks,
    heartbeats,
  });
}
