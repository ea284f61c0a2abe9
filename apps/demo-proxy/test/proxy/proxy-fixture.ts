import { type Clock, LocalCounterBackend, memoryStore, systemClock, type Usage } from "@usage/counter-core";
import { type LimitsByBackend, UsageTracker } from "@usage/tracker";
import { expect, onTestFinished } from "vitest";
import type { HostPolicy, RoutingPolicy } from "../../src/config/proxy-config.ts";
import type { ExactLimits } from "../../src/proxy/admission/body-room.ts";
import { Router } from "../../src/proxy/admission/route.ts";
import type { CorsOptions } from "../../src/proxy/answers/cors.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "../../src/proxy/http/head-limits.ts";
import { DEFAULT_TIMEOUTS, type Timeouts } from "../../src/proxy/http/timeouts.ts";
import { ProxyServer } from "../../src/proxy/server.ts";
import { Upstream } from "../../src/proxy/upstream/upstream.ts";

export interface ProxyOptions {
  /** Upstreams' addresses by name: a port of the loopback, or a URL. In order of preference. */
  readonly upstreams: Readonly<Record<string, number | string>>;
  readonly limits?: LimitsByBackend<keyof Usage>;
  readonly policy?: RoutingPolicy;
  readonly exact?: ExactLimits;
  readonly timeouts?: Partial<Timeouts>;
  readonly heads?: HeadLimits;
  readonly unreachableMs?: number;
  readonly ca?: string;
  /** Of every upstream. */
  readonly host?: HostPolicy;
  readonly cors?: CorsOptions;
  readonly trustedProxies?: readonly string[];
  readonly clock?: Clock;
  /** That of the counter. */
  readonly counterClock?: Clock;
}

export interface RunningProxy {
  readonly port: number;
  readonly origin: string;
  readonly server: ProxyServer;
  readonly tracker: UsageTracker;
  readonly upstreams: readonly Upstream[];
  upstream(name: string): Upstream;
  usage(name: string): Usage;
  /** What running requests keep free. */
  held(name: string): Usage;
  /** Waits until no request is running anywhere, and checks that everything reserved was given back. */
  settled(): Promise<void>;
}

/** A proxy on a free port, real from the listener to the connections; it ends with the test, and must then hold nothing. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { limits = {}, policy = "pack", clock = systemClock, unreachableMs, ca, host } = options;
  const { cors, trustedProxies = [], heads = DEFAULT_HEAD_LIMITS, counterClock = systemClock } = options;
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  const tracker = new UsageTracker(new LocalCounterBackend(Object.keys(options.upstreams), { clock: counterClock }), {
    store: memoryStore(),
    limits,
    clock: counterClock,
  });
  const upstreams = Object.entries(options.upstreams).map(
    ([name, address]) =>
      new Upstream({
        name,
        url: new URL(typeof address === "number" ? `http://127.0.0.1:${address}` : address),
        timeouts,
        heads,
        clock,
        ...(unreachableMs === undefined ? {} : { unreachableMs }),
        ...(ca === undefined ? {} : { ca }),
        ...(host === undefined ? {} : { host }),
      }),
  );
  const router = new Router({ tracker, upstreams, policy, exact: options.exact });
  const server = new ProxyServer({ router, timeouts, heads, clock, trustedProxies, ...(cors && { cors }) });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  const settled = async (): Promise<void> => {
    await expect
      .poll(() => [server.inFlight, ...upstreams.map((one) => one.inFlight)].every((n) => n === 0))
      .toBe(true);
    for (const { name } of upstreams) {
      expect(tracker.counter.heldAll(name)).toEqual({ apiRequests: 0, egressBytes: 0, ingressBytes: 0 });
    }
  };
  onTestFinished(async () => {
    await server.close({ graceMs: 0 });
    await settled();
    await Promise.all(upstreams.map((one) => one.destroy()));
  });
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    server,
    tracker,
    upstreams,
    upstream: (name) => upstreams.find((one) => one.name === name) ?? expect.unreachable(`no upstream ${name}`),
    usage: (name) => tracker.counter.totalAll(name),
    held: (name) => tracker.counter.heldAll(name),
    settled,
  };
}
