import type { Clock } from "@usage/counter-core";
import { type Dispatcher, Pool } from "undici";
import type { HostPolicy, TokenProtocol } from "../../config/proxy-config.ts";
import { type BackendCredentials, type Sent, withoutOwn } from "../../credentials/backend-credentials.ts";
import type { ClientIdentity } from "../../credentials/client-identity.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "../http/head-limits.ts";
import { assertDelay, assertTimeouts, type Timeouts } from "../http/timeouts.ts";
import { UpstreamAddresses } from "../http/upstream-addresses.ts";
import { connectorTo } from "./connector.ts";
import { BackendHealth, type BackendTrouble } from "./health.ts";
import { UpstreamTraffic } from "./upstream-traffic.ts";

export interface UpstreamOptions {
  /** The backend's name in the counts and limits. */
  readonly name: string;
  /** `http:` or `https:`; its path is put before that of every request. No credentials, query or fragment. */
  readonly url: URL;
  /** @default "upstream" */
  readonly host?: HostPolicy;
  readonly timeouts: Timeouts;
  /** @default DEFAULT_HEAD_LIMITS */
  readonly heads?: Pick<HeadLimits, "responseBytes">;
  /** How long it gets no requests after it failed, in milliseconds; longer after each probe that fails. @default 5_000 */
  readonly unreachableMs?: number;
  /** Certificates (PEM) that an https upstream is trusted by, instead of the ones that Node brings along. */
  readonly ca?: string;
  readonly clock: Clock;
  /** What the backend was asked and answered before, at another address of it. @default nothing */
  readonly traffic?: UpstreamTraffic;
  /** How many dimensions are counted. @default those of storage */
  readonly dimensions?: number;
}

/** How a request is sent. */
export interface Way {
  /** Whether its connection may become a WebSocket. */
  readonly upgrades: boolean;
  /** Whether its connection must have carried no other. */
  readonly isConnectionNew: boolean;
}

/** One metered upstream: its connections, what it was asked, and whether it can be reached. */
export class Upstream {
  readonly name: string;
  readonly url: URL;
  readonly host: HostPolicy;
  /** Certificates (PEM) that it is trusted by; undefined: the ones that Node brings along. */
  readonly ca: string | undefined;
  /** What the upstream says about them in its responses. */
  readonly addresses: UpstreamAddresses;
  /** A draining upstream gets no new requests; running ones end. */
  draining = false;
  /** How the proxy shows the backend who it is; undefined: what clients send is passed on. Requests to come have what is set here. */
  credentials: BackendCredentials | undefined;
  /** How its answers say what its model has read and written; undefined: they are not read. */
  tokens: TokenProtocol | undefined;
  readonly traffic: UpstreamTraffic;
  readonly health: BackendHealth;
  readonly #basePath: string;
  readonly #kept: Pool;
  /** For requests whose kept connection was closed: each has one of its own. */
  readonly #fresh: Pool;
  #isConnectionNew = false;

  constructor(options: UpstreamOptions) {
    const { name, url, timeouts, heads = DEFAULT_HEAD_LIMITS, host = "upstream", unreachableMs = 5_000 } = options;
    const { ca, clock } = options;
    assertUpstreamUrl(url);
    assertTimeouts(timeouts);
    assertDelay("unreachableMs", unreachableMs);
    this.name = name;
    this.url = url;
    this.host = host;
    this.ca = ca;
    this.addresses = new UpstreamAddresses(url);
    this.traffic = options.traffic ?? new UpstreamTraffic(options.dimensions);
    this.#basePath = url.pathname.replace(/\/+$/, "");
    this.health = new BackendHealth({ clock, pauseMs: unreachableMs });
    const pool: Pool.Options = {
      connections: null,
      // Undici would let all others wait for the first connection, which shows whether it is one of HTTP/2.
      allowH2: false,
      maxHeaderSize: heads.responseBytes,
      // Undici would begin it anew with each interim response; `Lane` limits it.
      headersTimeout: 0,
      bodyTimeout: timeouts.idleMs,
      connect: connectorTo({ url, timeoutMs: timeouts.connectMs, ...(ca === undefined ? {} : { ca }) }),
    };
    this.#kept = new Pool(url.origin, { ...pool, pipelining: 1 });
    this.#fresh = new Pool(url.origin, { ...pool, pipelining: 0 });
    // Undici begins the request that a connection was made for in the same turn.
    for (const each of this.#pools) each.on("connect", () => (this.#isConnectionNew = true));
  }

  /** Requests that were given to the backend, at this address of it or another one, and are not over. */
  get inFlight(): number {
    return this.traffic.inFlight;
  }

  set inFlight(requests: number) {
    this.traffic.inFlight = requests;
  }

  /** Whether it gets requests, if only to see whether it answers again. */
  isReachable(): boolean {
    return !this.health.paused;
  }

  /** Why it is passed over, or is being tried again; undefined while it is well. For operators: clients learn nothing of it. */
  get trouble(): BackendTrouble | undefined {
    return this.health.trouble;
  }

  /** The path of this upstream for a path that a client asked for. */
  pathFor(path: string): string {
    return this.#basePath + (this.credentials?.pathFor(path) ?? path);
  }

  /** The headers of this upstream for a request; `asked` is the host that its client asked for, undefined where it named none. */
  headersFor(headers: string[], asked: string | undefined): string[] {
    return this.host === "preserve" && asked !== undefined ? [...headers, "host", asked] : headers;
  }

  /** A request with the backend's own credentials. Those by which the proxy knows its clients are no backend's business. */
  withCredentials(request: Sent, client: ClientIdentity | undefined): Sent {
    if (this.credentials !== undefined) return this.credentials.apply(request, this.url.host, client);
    // fault: sends keys of the proxy's own to backends
    return client === undefined ? request : withoutOwn(request);
  }

  /** Whether the connection that a request begins on has carried others. To be asked once, as it begins. */
  isConnectionKept(): boolean {
    const isNew = this.#isConnectionNew;
    this.#isConnectionNew = false;
    return !isNew;
  }

  /** Sends a request once, alone on its connection. Every outcome is told to the handler. */
  dispatch({ method, path, headers, body }: Sent, handler: Dispatcher.DispatchHandler, way: Way): void {
    const request = {
      method,
      path,
      headers,
      body,
      upgrade: way.upgrades ? "websocket" : null,
      // Undici takes the server's name from `Host` unless it is told, and makes a new connection for every other name.
      servername: this.host === "preserve" ? this.url.hostname : null,
      // No other one waits behind it, so undici need not look for one once its response begins.
      blocking: false,
    };
    (way.isConnectionNew ? this.#fresh : this.#kept).dispatch(request, handler);
  }

  /** Closes the connections once the running requests have ended. */
  async close(): Promise<void> {
    this.health.stop();
    await Promise.all(this.#pools.map((pool) => pool.close()));
  }

  /** Closes the connections now; running requests fail. */
  async destroy(): Promise<void> {
    this.health.stop();
    await Promise.all(this.#pools.map((pool) => pool.destroy()));
  }

  get #pools(): readonly Pool[] {
    return [this.#kept, this.#fresh];
  }
}

function assertUpstreamUrl(url: URL): void {
  const plain = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (!plain || (url.protocol !== "http:" && url.protocol !== "https:")) {
    // What it must not have may be a secret.
    throw new RangeError("an upstream's url must be http:// or https:// without credentials, query and fragment");
  }
}
