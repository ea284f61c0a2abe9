import type { Clock, UsageStore } from "@usage/counter-core";
import type { UsageFlusher, UsageTracker } from "@usage/tracker";
import type { AdminServer } from "./admin/server.ts";
import type { ClientUsage } from "./clients/client-usage.ts";
import type { Address } from "./config/address.ts";
import type { ProxyConfig } from "./config/proxy-config.ts";
import type { Heartbeats } from "./counting/heartbeats.ts";
import { ListenError } from "./process/listen-error.ts";
import type { LiveConfig } from "./process/live-config.ts";
import type { Settings } from "./process/settings.ts";
import type { Router } from "./proxy/admission/route.ts";
import type { ProxyServer } from "./proxy/server.ts";
import type { Readiness } from "./readiness.ts";
import type { Webhooks } from "./webhooks/webhooks.ts";

export interface ProxyAppParts {
  readonly config: Pick<ProxyConfig, "listen" | "admin">;
  readonly readiness: Readiness;
  readonly tracker: UsageTracker;
  readonly clientUsage: ClientUsage;
  readonly store: UsageStore;
  readonly clock: Clock;
  /** Ends the counter and then the store, as far as they were opened for this app. */
  readonly closeParts: () => Promise<void>;
  readonly flusher: UsageFlusher;
  readonly router: Router;
  readonly proxy: ProxyServer;
  readonly admin: AdminServer;
  readonly live: LiveConfig;
  readonly settings: Settings;
  readonly webhooks: Webhooks;
  readonly heartbeats: Pick<Heartbeats, "beat">;
}

export interface Addresses {
  readonly proxy: Address;
  readonly admin: Address;
}

export interface StopTimes {
  /** How long requests are still taken while `/readyz` says that none are wanted, in milliseconds. @default 0 */
  readonly drainDelayMs?: number;
  /** How long running requests may go on after that, in milliseconds. */
  readonly graceMs: number;
}

export interface StopReport {
  /** Requests that were still running when the grace was over, and were cut. */
  readonly cut: number;
  /** Why the last flush failed; absent when everything is stored. */
  readonly flushError?: unknown;
  /** The same of what clients used. */
  readonly clientFlushError?: unknown;
}

/** The proxy as one thing that starts and stops. */
export class ProxyApp {
  readonly tracker: UsageTracker;
  readonly store: UsageStore;
  readonly flusher: UsageFlusher;
  readonly router: Router;
  readonly live: LiveConfig;
  readonly clientUsage: ClientUsage;
  readonly readiness: Readonly<Readiness>;
  readonly #parts: ProxyAppParts;
  #starting: Promise<Addresses> | undefined;
  #stopping: Promise<StopReport> | undefined;

  constructor(parts: ProxyAppParts) {
    this.tracker = parts.tracker;
    this.store = parts.store;
    this.flusher = parts.flusher;
    this.router = parts.router;
    this.live = parts.live;
    this.clientUsage = parts.clientUsage;
    this.readiness = parts.readiness;
    this.#parts = parts;
  }

  /** Requests that are being answered. */
  inFlight(): number {
    return this.#parts.proxy.inFlight;
  }

  /**
   * Listens and begins to flush. Resolves to the addresses, with the ports that port 0 became.
   *
   * @throws ListenError when an address cannot be had; everything is closed then.
   */
  async start(): Promise<Addresses> {
    try {
      this.#starting = this.#listen();
      return await this.#starting;
    } catch (error) {
      await this.stop({ graceMs: 0 });
      throw error;
    }
  }

  async #listen(): Promise<Addresses> {
    const { config, readiness, proxy, admin } = this.#parts;
    // The proxy last: no request is taken before everything else is there.
    const adminAddress = await listen("the admin listener", admin, config.admin.listen);
    readiness.address = await listen("the proxy", proxy, config.listen);
    // fault: flushes only at the end
    this.flusher.start();
    this.#parts.webhooks.start();
    this.#parts.heartbeats.beat();
    this.#parts.settings.watch({
      changed: () => this.live.reapply(),
      granted: () => Promise.all([this.tracker.refresh(), this.clientUsage.usage?.refresh()]),
    });
    readiness.ready = true;
    return { proxy: readiness.address, admin: adminAddress };
  }

  /**
   * Is not ready any more, and takes requests for `drainDelayMs` until load balancers know; then takes no more, gives running
   * ones `graceMs` to end, stores what is counted, and closes everything.
   */
  stop(times: StopTimes): Promise<StopReport> {
    this.#stopping ??= this.#stop(times);
    return this.#stopping;
  }

  async #stop({ drainDelayMs = 0, graceMs }: StopTimes): Promise<StopReport> {
    const { readiness, proxy, admin, router, webhooks, clientUsage, closeParts, clock } = this.#parts;
    // A listener that is being opened can only be closed once it is open.
    await this.#starting?.catch(() => {});
    const delayMs = readiness.ready ? drainDelayMs : 0;
    readiness.ready = false;
    // fault: closes before load balancers know
    if (delayMs > 0) await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    // fault: flushes the last time while requests still run
    // fault: lets go of Redis and the database before the last flush
    const { cut } = await proxy.close({ graceMs });
    // Only now nothing is counted any more. The admin listener answers until here, so that operators see what goes on.
    const [failure, clientFailure] = await Promise.all([failureOf(this.flusher.stop()), failureOf(clientUsage.stop())]);
    // What the last flush made known is in the store's outbox by then.
    // fault: lets go of the store while webhooks are told
    await webhooks.stop();
    this.#parts.settings.stop();
    await Promise.all([admin.close(), ...router.upstreams.map((upstream) => upstream.destroy())]);
    // What could not be stored is still shared, where counts are.
    await closeParts();
    return {
      cut,
      ...(failure && { flushError: failure.error }),
      ...(clientFailure && { clientFlushError: clientFailure.error }),
    };
  }
}

async function failureOf(flush: Promise<unknown>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await flush;
    return undefined;
  } catch (error) {
    return { error };
  }
}

interface Listener {
  listen(address: Address): Promise<Address>;
}

async function listen(name: string, listener: Listener, address: Address): Promise<Address> {
  try {
    return await listener.listen(address);
  } catch (error) {
    throw new ListenError(name, address, error);
  }
}
