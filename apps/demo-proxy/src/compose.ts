import {
  type Clock,
  LocalCounterBackend,
  systemClock,
  type TallySource,
  type UsageCounter,
  type UsageStore,
} from "@usage/counter-core";
import { FlushTimeoutError, UsageFlusher, UsageTracker } from "@usage/tracker";
import { apiRoutes } from "./admin/api.ts";
import { guard } from "./admin/guard.ts";
import { healthRoutes } from "./admin/health.ts";
import { AdminServer } from "./admin/server.ts";
import type { ProxyConfig } from "./config.ts";
import { openStore, StoreStartError } from "./open-store.ts";
import { Router } from "./proxy/route.ts";
import { ProxyServer } from "./proxy/server.ts";
import { Upstream } from "./proxy/upstream.ts";
import { ProxyApp } from "./proxy-app.ts";

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
}

/**
 * The composition root: every part is made here and handed to those who need it. What the store knows of this period is
 * loaded before it returns, so limits are never open; nothing listens before `start`.
 *
 * @throws StoreStartError when the store cannot be opened or read; what was opened is closed then.
 */
export async function compose(config: ProxyConfig, parts: ProxyParts = {}): Promise<ProxyApp> {
  const { clock = systemClock, random = Math.random } = parts;
  const { flush, timeouts, routing: policy } = config;
  const counter = parts.counter ?? makeCounter(config, clock);
  const limits = new Map(config.backends.map((backend) => [backend.name, backend.limits]));
  const tracker = new UsageTracker(counter, { limits });
  const upstreams = config.backends.map(({ name, url }) => new Upstream({ name, url, timeouts, clock }));
  const router = new Router({ tracker, upstreams, policy });
  const proxy = new ProxyServer({ router, timeouts, clock });

  const { store, closeStore } = await readyStore(config, tracker, parts);
  const flusher = new UsageFlusher({ ...flush, tracker, store, clock, random });
  const { token, listen } = config.admin;
  const admin = new AdminServer({
    guard: guard({ host: listen.host, ...(token !== undefined && { token }) }),
    routes: [...apiRoutes({ config, router, tracker, store, flusher }), ...healthRoutes(() => app.isReady())],
  });
  const app = new ProxyApp({ config, tracker, store, closeStore, flusher, router, proxy, admin });
  return app;
}

/** Another kind of counter is one more case. */
function makeCounter({ counter, backends }: ProxyConfig, clock: Clock): UsageCounter & TallySource {
  const names = backends.map(({ name }) => name);
  switch (counter.kind) {
    case "local":
      return new LocalCounterBackend(names, { clock });
  }
}

interface ReadyStore {
  readonly store: UsageStore;
  readonly closeStore: () => Promise<void>;
}

/** The store, after the tracker has read it once. */
async function readyStore(
  config: ProxyConfig,
  tracker: UsageTracker,
  { clock = systemClock, store: given }: ProxyParts,
): Promise<ReadyStore> {
  let closeStore = async (): Promise<void> => {};
  const open = async (): Promise<UsageStore> => {
    const opened = await openStore(config.store);
    closeStore = () => opened.close();
    return opened;
  };
  try {
    const store = given ?? (await open());
    await loadBaselines(tracker, store, config.flush.timeoutMs, clock);
    return { store, closeStore };
  } catch (error) {
    await closeStore();
    throw new StoreStartError(config.store, error);
  }
}

async function loadBaselines(tracker: UsageTracker, store: UsageStore, timeoutMs: number, clock: Clock): Promise<void> {
  const deadline = new AbortController();
  const cancel = clock.after(timeoutMs, () => deadline.abort(new FlushTimeoutError(timeoutMs)));
  try {
    await tracker.refreshBaselines(store, { signal: deadline.signal });
  } finally {
    cancel();
  }
}
