import type { InstanceSettings } from "./messages.ts";

/** Tenants that are counted at once. */
const HOT = 3;
/** Tenants of one's own that are counted again. */
const KEPT = 6;
const NEW_RATIO = 0.25;
/** The share of counts that is of an idle backend. */
const IDLE_RATIO = 0.002;

/**
 * What an instance counts: the backends that were named at the start, and a few tenants at a time, which change. Some tenants come
 * to all instances; others come to this one only, so that nobody else holds them when it dies.
 */
export class HotNames {
  readonly #named: readonly string[];
  readonly #shared: readonly string[];
  readonly #idle: readonly string[];
  readonly #prefix: string;
  readonly #own: string[] = [];
  readonly #hot: string[] = [];
  #count = 0;

  constructor(settings: InstanceSettings, writer: string) {
    const { backends, prefix, tenants = 0 } = settings;
    this.#named = backends;
    this.#idle = idleNames(settings);
    this.#shared = Array.from({ length: tenants }, (_, i) => `${prefix} tenant ${i}`);
    this.#prefix = ownTenants(prefix, writer);
  }

  /** Whether there are tenants at all. */
  get isOpen(): boolean {
    return this.#shared.length > 0;
  }

  /** One that is counted now. The last one of its own is, so that it dies with something that is nobody else's. */
  pick(): string {
    if (this.#idle.length > 0 && Math.random() < IDLE_RATIO) return randomOf(this.#idle);
    return randomOf([...this.#named, ...this.#hot, ...this.#own.slice(-1)]);
  }

  /** A name to bring in: one that nobody ever named, or one that was there before. */
  next(): string {
    if (this.#own.length > 0 && Math.random() >= NEW_RATIO)
      return randomOf([...this.#named, ...this.#shared, ...this.#own]);
    const name = `${this.#prefix}${this.#count++}`;
    this.#own.push(name);
    if (this.#own.length > KEPT) this.#own.shift();
    return name;
  }

  /** It is counted from now on, in place of another one. */
  use(name: string): void {
    if ([...this.#named, ...this.#hot].includes(name)) return;
    this.#hot.push(name);
    if (this.#hot.length > HOT) this.#hot.shift();
  }
}

/** How the names begin of those that come to one instance only. */
export function ownTenants(prefix: string, writer: string): string {
  return `${prefix} tenant of ${writer} `;
}

/** What all instances use of a limit in that wave; they begin alike. */
export function limitedName(prefix: string, wave: number | ""): string {
  return `${prefix} limited ${wave}`;
}

/** Backends that are named at the start, and hardly ever counted. */
export function idleNames({ prefix, idle = 0 }: Pick<InstanceSettings, "prefix" | "idle">): readonly string[] {
  return Array.from({ length: idle }, (_, i) => `${prefix} idle ${i}`);
}

export function randomOf<T>(all: readonly T[]): T {
  return all[Math.floor(all.length * Math.random())] as T;
}
