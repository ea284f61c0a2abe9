import type { CostRule, DimensionConfig } from "../config/proxy-config.ts";
import { COST_PRESETS, type PresetRule } from "./cost-presets.ts";
import { PathPattern } from "./path-pattern.ts";
import { type PathReading, pathReadings } from "./path-readings.ts";

/** What a request costs in dimensions of the configuration's own. */
export interface RequestCosts {
  /** The most of each that it may cost, whatever is answered. */
  readonly most: Readonly<Record<string, number>>;
  /** What it costs, by the status of its answer; undefined for none. */
  readonly by: (status: number | undefined) => Readonly<Record<string, number>>;
  /** Whether that depends on the status. */
  readonly dependsOnStatus: boolean;
}

/** What requests cost by the rules of a configuration. */
export class CostBook {
  readonly #dimensions: readonly (readonly [name: string, rules: readonly Rule[]])[];

  /** @throws RangeError for a path that is no pattern, or an unknown ready-made list. */
  constructor(dimensions: ReadonlyMap<string, DimensionConfig>) {
    this.#dimensions = Array.from(dimensions, ([name, config]) => [
      name,
      rulesOf(config).map((rule) => new Rule(rule)),
    ]);
  }

  /**
   * @param path the path and query that the backend gets.
   * @returns undefined where the request costs nothing.
   */
  costsOf(method: string, path: string): RequestCosts | undefined {
    const readings = pathReadings(path);
    const question = path.indexOf("?");
    const query = question === -1 ? NO_QUERY : new URLSearchParams(path.slice(question + 1));
    const costs = this.#dimensions.flatMap(([name, rules]) => {
      const cost = dearest(readings.map((reading) => costOf(rules, method, reading, query)));
      return cost.most === 0 ? [] : [[name, cost] as const];
    });
    if (costs.length === 0) return undefined;
    return {
      most: Object.fromEntries(costs.map(([name, { most }]) => [name, most])),
      by: (status) => Object.fromEntries(costs.map(([name, cost]) => [name, amountOf(cost, status)])),
      dependsOnStatus: costs.some(([, { candidates }]) => candidates.some(({ status }) => status !== undefined)),
    };
  }
}

const NO_QUERY = new URLSearchParams();

/** One dimension of one request. */
interface Cost {
  /** The rules for it, as far as its answer may decide: the first one whose status fits does. */
  readonly candidates: readonly Rule[];
  readonly most: number;
}

function costOf(rules: readonly Rule[], method: string, reading: PathReading, query: URLSearchParams): Cost {
  const candidates: Rule[] = [];
  for (const rule of rules) {
    if (!rule.isFor(method, reading, query)) continue;
    candidates.push(rule);
    if (rule.status === undefined) break;
  }
  return { candidates, most: Math.max(0, ...candidates.map(({ amount }) => amount)) };
}

/** Of the ways in which a backend may read a path, the one that costs most. */
function dearest(costs: readonly Cost[]): Cost {
  // fault: counts by the path as it was written, however a backend reads it
  return costs.reduce((most, cost) => (cost.most > most.most ? cost : most));
}

function amountOf({ candidates, most }: Cost, status: number | undefined): number {
  // Without an answer nobody knows.
  if (status === undefined) return most;
  const rule = candidates.find((candidate) => candidate.status === undefined || candidate.status.has(status));
  return rule?.amount ?? 0;
}

function rulesOf(config: DimensionConfig): readonly (CostRule & PresetRule)[] {
  if (typeof config !== "string") return config;
  const preset = COST_PRESETS.get(config);
  if (preset === undefined) throw new RangeError(`there is no ready-made list ${JSON.stringify(config)}`);
  return preset;
}

class Rule {
  readonly amount: number;
  readonly status: ReadonlySet<number> | undefined;
  readonly #methods: readonly string[] | undefined;
  readonly #paths: readonly PathPattern[] | undefined;
  readonly #query: readonly string[];
  readonly #level: PresetRule["level"];

  constructor({ method, path, query = [], status, amount, level }: CostRule & PresetRule) {
    this.amount = amount;
    this.status = status && new Set(status.flatMap(statusesOf));
    this.#methods = method;
    this.#paths = path?.map((text) => new PathPattern(text));
    this.#query = query;
    this.#level = level;
  }

  isFor(method: string, reading: PathReading, query: URLSearchParams): boolean {
    if (this.#methods !== undefined && !this.#methods.includes(method)) return false;
    if (this.#level !== undefined && levelOf(reading.path) !== this.#level) return false;
    if (this.#paths !== undefined && !this.#paths.some((pattern) => pattern.matches(reading))) return false;
    return this.#query.every((wanted) => {
      const [name = "", ...value] = wanted.split("=");
      return value.length === 0 ? query.has(name) : query.getAll(name).includes(value.join("="));
    });
  }
}

/** `4xx` is a hundred of them. */
function statusesOf(text: string): readonly number[] {
  if (!text.endsWith("xx")) return [Number(text)];
  return Array.from({ length: 100 }, (_, rest) => Number(text[0]) * 100 + rest);
}

function levelOf(path: string): PresetRule["level"] {
  const segments = path.split("/").filter((segment) => segment !== "").length;
  // A key may end in slashes, and consist of them; the bucket before it may not.
  if (segments === 0) return "service";
  return segments === 1 && /^\/*[^/]+\/?$/.test(path) ? "bucket" : "object";
}
