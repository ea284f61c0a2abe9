import { isDeepStrictEqual } from "node:util";
import type { Clock, StorageDimension, Usage } from "@usage/counter-core";
import type { UsageFlusher, UsageTracker } from "@usage/tracker";
import type { ClientUsage } from "../clients/client-usage.ts";
import type { ProxyConfig, TlsConfig } from "../config/proxy-config.ts";
import { awaitsTokens } from "../counting/dimensions.ts";
import { onlyCounted } from "../counting/only-counted.ts";
import { messageOf } from "../log/message-of.ts";
import type { Router } from "../proxy/admission/route.ts";
import type { ProxyServer } from "../proxy/server.ts";
import type { Upstream } from "../proxy/upstream/upstream.ts";
import type { Webhooks } from "../webhooks/webhooks.ts";
import { type ConfigChange, configChange } from "./config-change.ts";
import { configuredUpstreams } from "./configured-upstreams.ts";
import { type NamesInFile, namesIn } from "./names-in-file.ts";
import type { SettingSubject } from "./setting-subject.ts";
import type { Settings } from "./settings.ts";

/** What is taken over while the proxy runs. All else needs a restart. */
const LIVE: readonly (keyof ProxyConfig)[] = [
  "backends",
  "clients",
  "flush",
  "plans",
  "routes",
  "routing",
  "shutdown",
  "terms",
  "thresholds",
  "webhooks",
];

export interface LiveConfigParts {
  readonly config: ProxyConfig;
  readonly tracker: UsageTracker;
  readonly flusher: Pick<UsageFlusher, "reschedule">;
  readonly router: Router;
  readonly webhooks: Pick<Webhooks, "update">;
  readonly clientUsage: Pick<ClientUsage, "prepare">;
  /** Learns who may send requests. */
  readonly proxy: Pick<ProxyServer, "setClients" | "setCertificate" | "drainGraceMs">;
  readonly admin: { setCertificate(tls: TlsConfig): void };
  /** Holds these backends once it is known what was used of them; limits are never open. Rejects where that cannot be known. */
  readonly admit: (names: readonly string[]) => Promise<void>;
  /** What is in force in place of what the file says. */
  readonly settings: Pick<Settings, "apply" | "complaints" | "isDrained">;
  readonly clock: Clock;
  /** Is told of each complaint that is new. @default nobody is */
  readonly onComplaint?: ((complaint: string) => void) | undefined;
}

export interface LiveConfigStatus {
  /** When the configuration that is in force was taken over, in milliseconds since the Unix epoch. */
  readonly loadedAtMs: number;
  /** Why a later one was refused; absent when none was. */
  readonly error?: string;
  /** What was changed in the file and needs a restart: sections, and `backends[].tokens`. */
  readonly needRestart: readonly string[];
  /** What was changed by API and cannot be in force, since the file does not have any more what it names. */
  readonly complaints: readonly string[];
}

/** Takes over other configurations while requests run: whole, or not at all. */
export class LiveConfig {
  readonly #parts: LiveConfigParts;
  readonly #started: ProxyConfig;
  /** What the file says. */
  #file: ProxyConfig;
  #named: NamesInFile;
  #config: ProxyConfig;
  #status: LiveConfigStatus;
  #last: Promise<unknown> = Promise.resolve();
  #isTaking = false;

  constructor(parts: LiveConfigParts) {
    this.#parts = parts;
    this.#started = parts.config;
    this.#file = parts.config;
    this.#named = namesIn(parts.config);
    this.#config = parts.settings.apply(parts.config);
    this.#status = { loadedAtMs: parts.clock.now(), needRestart: [], complaints: [] };
    this.#complain(parts.config);
    parts.tracker.onFlush(() => this.#letGo());
  }

  /** The configuration in force. */
  get config(): ProxyConfig {
    return this.#config;
  }

  status(): LiveConfigStatus {
    return this.#status;
  }

  /**
   * Loads a configuration and takes it over, after those before it. When that fails, the old one stays in force, and the
   * status says why.
   */
  take(load: () => Promise<ProxyConfig>): Promise<ConfigChange> {
    const taken = this.#last.then(async () => {
      try {
        const next = await load();
        this.#isTaking = true;
        return await this.#take(next);
      } catch (error) {
        this.#status = { ...this.#status, error: messageOf(error) };
        throw error;
      } finally {
        this.#isTaking = false;
      }
    });
    this.#last = taken.catch(() => {});
    return taken;
  }

  /** Takes over what was changed by API since, in place of what the file says. The status stays that of the file. */
  reapply(): Promise<void> {
    const applied = this.#last.then(async () => {
      const status = this.#status;
      this.#isTaking = true;
      try {
        await this.#take(this.#file);
      } finally {
        this.#isTaking = false;
        this.#status = { ...status, complaints: this.#status.complaints };
      }
    });
    this.#last = applied.catch(() => {});
    return applied;
  }

  /** Whether the file names it. */
  isInFile({ kind, name }: SettingSubject): boolean {
    return this.#named[kind].has(name);
  }

  async #take(file: ProxyConfig): Promise<ConfigChange> {
    const { tracker, flusher, router, proxy, webhooks, clientUsage, admit, clock, settings } = this.#parts;
    // What is changed by API while this waits is taken over after it: clients must have been brought into all of their windows.
    const next = settings.apply(file);
    // Not by the counter, which may also hold what an attempt that failed has added.
    const known = new Set(router.upstreams.map(({ name }) => name));
    const unknown = file.backends.map(({ name }) => name).filter((name) => !known.has(name));
    if (unknown.length > 0) await admit(unknown);
    // fault: brings clients into the windows of the file alone
    const takeClients = await clientUsage.prepare(next);

    // From here on nothing waits: a request sees either all of the old configuration or all of the new one.
    const before = this.#config;
    const terms = { ...this.#started, dimensions: tracker.counter.dimensions.length, settings, clock };
    const upstreams = configuredUpstreams(next.backends, router.upstreams, terms);
    // What is removed keeps the limits that it had for as long as it is shown.
    // fault: takes the limits of a backend with it
    const removed = upstreams.map(({ name }) => [name, limitsOf(tracker.counter, name)] as const);
    // What is limited and not counted yet is counted from the next start on.
    const counted: readonly string[] = tracker.counter.dimensions;
    const limited = next.backends.map(({ name, limits }) => [name, onlyCounted(counted, limits)] as const);
    tracker.updateLimits(new Map([...removed, ...limited]));
    // fault: goes on routing by the rules of before
    router.update({ upstreams, policy: next.routing, routes: next.routes });
    takeClients();
    // fault: goes on taking keys that are gone
    proxy.setClients(next.clients);
    proxy.drainGraceMs = next.shutdown.graceMs;
    if (!isDeepStrictEqual(next.flush, before.flush)) flusher.reschedule(next.flush);
    // fault: goes on telling the webhooks of before
    webhooks.update(next);
    const renewed = this.#renew(next);
    const [wanted, started] = [withoutCertificates(next), withoutCertificates(this.#started)];
    const late = sectionsOf(next, this.#started).filter(
      (section) => !LIVE.includes(section) && !isDeepStrictEqual(wanted[section], started[section]),
    );
    const needRestart = [...late, ...(awaitsTokens(next, counted) ? ["backends[].tokens"] : [])];
    const { tls, admin } = { ...before, ...(renewed.includes("tls") && { tls: next.tls }) };
    const admins = renewed.includes("admin.tls") ? { ...admin, ...(next.admin.tls && { tls: next.admin.tls }) } : admin;
    const kept = { ...sections(this.#started, false), ...(tls && { tls }), admin: admins };
    this.#config = { ...kept, ...sections(next, true) } as ProxyConfig;
    this.#file = file;
    this.#named = namesIn(file);
    this.#status = { loadedAtMs: clock.now(), needRestart, complaints: this.#status.complaints };
    this.#complain(file);
    return { ...configChange(before, next, LIVE), renewed, needRestart };
  }

  #complain(file: ProxyConfig): void {
    const { settings, onComplaint } = this.#parts;
    const complaints = settings.complaints(file);
    const known = new Set(this.#status.complaints);
    this.#status = { ...this.#status, complaints };
    for (const complaint of complaints) if (!known.has(complaint)) onComplaint?.(complaint);
  }

  /** Shows other certificates from now on; whether there is TLS at all stays as it was at the start. */
  #renew(next: ProxyConfig): ConfigChange["renewed"] {
    const { proxy, admin } = this.#parts;
    const {
      tls,
      admin: { tls: adminTls },
    } = this.#config;
    const renewed: ("tls" | "admin.tls")[] = [];
    if (tls && next.tls && !isDeepStrictEqual(tls, next.tls)) {
      proxy.setCertificate(next.tls);
      renewed.push("tls");
    }
    if (adminTls && next.admin.tls && !isDeepStrictEqual(adminTls, next.admin.tls)) {
      admin.setCertificate(next.admin.tls);
      renewed.push("admin.tls");
    }
    return renewed;
  }

  /** Lets go of what was removed, once its requests have ended and its counts are stored. */
  #letGo(): void {
    // The next configuration may have it again.
    // fault: lets go of a backend that is just configured again
    if (this.#isTaking) return;
    const { tracker, router } = this.#parts;
    const { backends, routing: policy, routes } = this.#config;
    const configured = new Set(backends.map(({ name }) => name));
    // fault: lets go of a backend whose requests still run
    const isGone = ({ name, inFlight }: Upstream): boolean =>
      !configured.has(name) && inFlight === 0 && tracker.release(name);
    const gone = new Set(router.upstreams.filter(isGone));
    if (gone.size === 0) return;
    const upstreams = router.upstreams.filter((upstream) => !gone.has(upstream));
    router.update({ upstreams, policy, routes });
    for (const upstream of gone) void upstream.close();
  }
}

/** Those that are in any of the configurations. */
function sectionsOf(...configs: readonly ProxyConfig[]): readonly (keyof ProxyConfig)[] {
  return [...new Set(configs.flatMap((config) => Object.keys(config) as (keyof ProxyConfig)[]))];
}

/** Those that are taken over while the proxy runs, or the others. */
function sections(config: ProxyConfig, areLive: boolean): Partial<ProxyConfig> {
  const live: readonly string[] = LIVE;
  return Object.fromEntries(Object.entries(config).filter(([section]) => live.includes(section) === areLive));
}

/** What of it decides whether a restart is needed: certificates do not, as long as there is one. */
function withoutCertificates(config: ProxyConfig): Partial<Record<keyof ProxyConfig, unknown>> {
  const { tls, admin } = config;
  return { ...config, tls: tls !== undefined, admin: { ...admin, tls: admin.tls !== undefined } };
}

/** Those of every period: what was granted for this one is added by itself. */
function limitsOf(counter: UsageTracker["counter"], name: string): Partial<Usage> {
  const credit = counter.creditAll(name);
  const limits = Object.entries(counter.limitsOf(name)) as [StorageDimension, number][];
  return Object.fromEntries(limits.map(([dimension, limit]) => [dimension, limit - credit[dimension]]));
}
