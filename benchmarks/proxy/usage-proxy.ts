import { systemClock as clock, LocalCounterBackend, STORAGE_DIMENSIONS } from "@usage/counter-core";
import { Router } from "@usage/demo-proxy/src/proxy/admission/route.ts";
import { DEFAULT_TIMEOUTS as timeouts } from "@usage/demo-proxy/src/proxy/http/timeouts.ts";
import { ProxyServer } from "@usage/demo-proxy/src/proxy/server.ts";
import { Upstream } from "@usage/demo-proxy/src/proxy/upstream/upstream.ts";
import { UsageTracker } from "@usage/tracker";
import { unasked } from "../counters/subjects.ts";
import { serve, upstreamOrigin } from "./serve.ts";

// The demo proxy's data path as it is composed there, with limits in all dimensions that are never reached.
const name = "upstream";
const limit = Number.MAX_SAFE_INTEGER;
const limits = { [name]: { apiRequests: limit, egressBytes: limit, ingressBytes: limit } };
const tracker = new UsageTracker(new LocalCounterBackend([name]), { store: unasked(STORAGE_DIMENSIONS), limits });
const upstreams = [new Upstream({ name, url: new URL(upstreamOrigin()), timeouts, clock })];
const server = new ProxyServer({ router: new Router({ tracker, upstreams, policy: "pack" }), timeouts, clock });
serve(await server.listen({ host: "127.0.0.1", port: 0 }));
