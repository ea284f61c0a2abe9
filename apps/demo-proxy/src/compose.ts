import { type Clock, systemClock, type TallySource, type UsageCounter, type UsageStore } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { apiRoutes } from "./admin/api/api-routes.ts";
import { UsageRates } from "./admin/api/rates.ts";
import { dashboardRoutes } from "./admin/dashboard-files.ts";
import { guard } from "./admin/guard.ts";
import { healthRoutes } from "./admin/health.ts";
import { metricsRoutes } from "./admin/metrics/metrics.ts";
import { ProcessMetrics } from "./admin/metrics/process-metrics.ts";
import { TimedFlusher } from "./admin/metrics/timed-flusher.ts";
import { AdminServer } from "./admin/server.ts";
import { Turns } from "./admin/turns.ts";
import type { ProxyConfig } from "./config/proxy-config.ts";
import { openCounter } from "./counting/open-counter.ts";
import { openStore, StoreStartError } from "./counting/open-store.ts";
import type { OpenedCounter } from "./counting/opened-counter.ts";
import { LiveConfig } from "./process/live-config.ts";
import type { AccessLog } from "./proxy/access-entry.ts";
import { Router } from "./proxy/route.ts";
import { ProxyServer } from "./proxy/server.ts";
import { Upstream } from "./proxy/upstream.ts";
import { ProxyApp } from "./proxy-app.ts";
import { Readiness } from "./readiness.ts";

/** Parts that stand in for the configured ones. Whoever hands a part in also closes it. */
export interface ProxyParts {
  /** @default systemClock */
  readonly clock?: Clock;
  /** Uniform in [0, 1). @default Math.random */
  readonly random?: () => number;
  /** Has all configured backends. @default what `config.counter` says */
  readonly counter?: UsageCounter & TallySource;
  /** @default what `config.store` says */
  readonly store?: UsageStore;
  /** Is told of every request that is over. @default nobody is */
  readonly accessLog?: AccessLog;
}

/**
 * The composition root: every part is made here and handed to those who need it. What the store and the other instances know
 * of this period is loaded before it returns, so limits are never open; nothing listens before `start`.
 *
 * @throws StoreStartError when the store cannot be opened or read, CounterStartError when the counter cannot be shared; what
 * was opened is closed then.
 */
export async function compose(config: ProxyConfig, parts: ProxyParts = {}): Promise<ProxyApp> {
  const { clock = systemClock, random = Math.random } = parts;
  const { flush, timeouts, heads, routing: policy } = config;
  // What is opened later is closed sooner.
  await using opened = new AsyncDisposableStack();
  const store = parts.store ?? opened.adopt(await openStore(config.store), (store) => store.close());
  const { counter, sharing, addBackends } = parts.counter
    ? givenCounter(parts.counter)
    : opened.adopt(await makeCounter(config, clock), (counter) => counter.close());
  const limits = new Map(config.backends.map((backend) => [backend.name, backend.limits]));
  const tracker = new UsageTracker(counter, { limits });
  // fault: listens without knowing what was used before
  await loadBaselines(config, tracker, store, clock);

  const upstreams = config.backends.map(
    ({ name, url, host }) => new Upstream({ name, url, timeouts, heads, clock, ...(host && { host }) }),
  );
  const router = new Router({ tracker, upstreams, policy });
  const proxy = new ProxyServer({
    router,
    timeouts,
    heads,
    clock,
    trustedProxies: config.trustedProxies,
    ...(config.cors && { cors: config.cors }),
    ...(parts.accessLog && { accessLog: parts.accessLog }),
  });
  const flusher = new TimedFlusher({ ...flush, tracker, store, clock, random });
  const rates = opened.adopt(new UsageRates({ counter, clock }), (rates) => rates.stop());
  rates.start();
  const processMetrics = opened.adopt(new ProcessMetrics(), (metrics) => metrics.stop());
  const live = new LiveConfig({
    config,
    tracker,
    flusher,
    router,
    clock,
    async addBackends(names, next) {
      await addBackends(names);
      await loadBaselines(next, tracker, store, clock);
    },
  });
  const readiness = new Readiness(config.listen);
  const api = {
    config,
    live: () => live.status(),
    inForce: () => live.config,
    router,
    tracker,
    store,
    flusher,
    clock,
    rates,
    startedMs: clock.now(),
    readiness,
    turns: new Turns(),
    ...(sharing && { sharing }),
  };
  const { listen, ...access } = config.admin;
  const admin = new AdminServer({
    guard: guard({ host: listen.host, ...access }),
    basePaths: (access.urls ?? []).map((url) => new URL(url).pathname),
    routes: [
      ...dashboardRoutes(),
      ...apiRoutes(api),
      ...metricsRoutes({ ...api, proxy, processMetrics }),
      ...healthRoutes(readiness),
    ],
  });
  const closing = opened.move();
  const closeParts = (): Promise<void> => closing.disposeAsync();
  return new ProxyApp({ config, readiness, tracker, store, clock, closeParts, flusher, router, proxy, admin, live });
}

function givenCounter(counter: UsageCounter & TallySource): Omit<OpenedCounter, "close"> {
  return {
    counter,
    addBackends: () => Promise.reject(new Error("the counter that was handed in has all the backends it can have")),
  };
}

function makeCounter({ counter, backends }: ProxyConfig, clock: Clock): Promise<OpenedCounter> {
  return openCounter(counter, { backends: backends.map(({ name }) => name), clock });
}

async function loadBaselines(
  { store: storeConfig, flush: { timeoutMs } }: ProxyConfig,
  tracker: UsageTracker,
  store: UsageStore,
  clock: Clock,
): Promise<void> {
  const deadline = new AbortController();
  const late = `this period's usage could not be read within ${timeoutMs} ms; find what holds the database up, or raise flush.timeoutMs`;
  const cancel = clock.after(timeoutMs, () => deadline.abort(new Error(late)));
  try {
    await tracker.refreshBaselines(store, { signal: deadline.signal });
  } catch (error) {
    throw new StoreStartError(storeConfig, error);
  } finally {
    cancel();
  }
}
