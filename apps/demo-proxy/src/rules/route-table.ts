import type { RequestMatch, RouteConfig } from "../config/proxy-config.ts";
import { HostPattern, hostName } from "./host-pattern.ts";
import { PathPattern } from "./path-pattern.ts";
import { type PathReading, pathReadings } from "./path-readings.ts";

/** What of a request routes go by. */
export interface RoutedRequest {
  readonly method: string;
  /** Its path and query, as the backend gets them. */
  readonly path: string;
  /** As it was asked for; undefined where the request names none. */
  readonly host: string | undefined;
}

/** `none`: no rule is for the request. `ambiguous`: servers read its path in ways that different rules are for. */
export type Unrouted = "none" | "ambiguous";

/** The rules by which a request gets a pool of backends: that of the first one that is for it. */
export class RouteTable<Backend> {
  readonly #rules: readonly Rule<Backend>[];

  /** @param backendOf the backend of a name; undefined: it is left out. */
  constructor(routes: readonly RouteConfig[], backendOf: (name: string) => Backend | undefined) {
    this.#rules = routes.map(({ match = {}, backends }) => {
      const pool = backends.map(backendOf).filter((backend) => backend !== undefined);
      return new Rule(match, pool);
    });
  }

  /** The backends that a request may go to, in order of preference. */
  poolOf({ method, path, host }: RoutedRequest): readonly Backend[] | Unrouted {
    const name = hostName(host);
    const [written, ...others] = pathReadings(path) as readonly [PathReading, ...PathReading[]];
    const rule = this.#ruleFor(method, name, written);
    // fault: goes by the path as it was written, however a backend reads it
    if (others.some((reading) => this.#ruleFor(method, name, reading) !== rule)) return "ambiguous";
    return rule?.pool ?? "none";
  }

  /** Whether a rule is for this host by name; as `hostName` returns it. */
  namesHost(host: string): boolean {
    return this.#rules.some((rule) => rule.names(host));
  }

  #ruleFor(method: string, host: string, reading: PathReading): Rule<Backend> | undefined {
    // fault: gives a request to the last rule that is for it
    return this.#rules.find((rule) => rule.isFor(method, host, reading));
  }
}

class Rule<Backend> {
  readonly pool: readonly Backend[];
  readonly #methods: readonly string[] | undefined;
  readonly #hosts: readonly HostPattern[] | undefined;
  readonly #paths: readonly PathPattern[] | undefined;

  constructor({ method, host, path }: RequestMatch, pool: readonly Backend[]) {
    this.pool = pool;
    this.#methods = method;
    this.#hosts = host?.map((text) => new HostPattern(text));
    this.#paths = path?.map((text) => new PathPattern(text));
  }

  names(host: string): boolean {
    return this.#hosts?.some((pattern) => pattern.matches(host)) === true;
  }

  isFor(method: string, host: string, reading: PathReading): boolean {
    if (this.#methods !== undefined && !this.#methods.includes(method)) return false;
    if (this.#hosts !== undefined && !this.names(host)) return false;
    return this.#paths === undefined || this.#paths.some((pattern) => pattern.matches(reading));
  }
}
