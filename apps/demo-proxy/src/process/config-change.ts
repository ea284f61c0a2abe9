import { isDeepStrictEqual } from "node:util";
import type { BackendConfig, ProxyConfig } from "../config/proxy-config.ts";
import { wholePlans } from "../config/whole-plans.ts";

/** What a configuration that was taken over changed, for those who log it. `added`, `removed` and `changed` are names of backends. */
export interface ConfigChange extends NamedChange {
  readonly clients: NamedChange;
  readonly plans: NamedChange;
  /** Other sections that are not as before, such as `routes`. */
  readonly sections: readonly (keyof ProxyConfig)[];
  /** Settings of listeners that have another certificate, which is shown to those who connect from now on. */
  readonly renewed: readonly ("tls" | "admin.tls")[];
  /** Of the file's sections, those that take effect at the next start only; `backends[].tokens` for the first tokens of a backend. */
  readonly needRestart: readonly string[];
}

/** Names of what is new, gone, and not as before. */
export interface NamedChange {
  readonly added: readonly string[];
  /** Backends get no more requests. What was counted is kept and stored, and then they are let go of. */
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

const BY_NAME: readonly (keyof ProxyConfig)[] = ["backends", "clients", "plans", "terms"];

/** @param live the sections that are taken over while the proxy runs. */
export function configChange(
  before: ProxyConfig,
  next: ProxyConfig,
  live: readonly (keyof ProxyConfig)[],
): Omit<ConfigChange, "renewed" | "needRestart"> {
  return {
    ...changeOf(byName(before.backends, settingsOf), byName(next.backends, settingsOf)),
    clients: before.clients === next.clients ? NOTHING : changeOf(byName(before.clients), byName(next.clients)),
    plans: changeOf(wholePlans(before), wholePlans(next)),
    sections: live.filter(
      (section) => !BY_NAME.includes(section) && !isDeepStrictEqual(before[section], next[section]),
    ),
  };
}

const NOTHING: NamedChange = { added: [], removed: [], changed: [] };

function changeOf<T>(
  before: ReadonlyMap<string, T> = new Map(),
  next: ReadonlyMap<string, T> = new Map(),
): NamedChange {
  const [old, names] = [[...before.keys()], [...next.keys()]];
  return {
    added: names.filter((name) => !before.has(name)),
    removed: old.filter((name) => !next.has(name)),
    changed: names.filter((name) => before.has(name) && !isDeepStrictEqual(before.get(name), next.get(name))),
  };
}

function byName<T extends { readonly name: string }, U>(
  named: readonly T[] = [],
  settings: (one: T) => U | T = (one) => one,
): ReadonlyMap<string, U | T> {
  return new Map(named.map((one) => [one.name, settings(one)]));
}

/** Where a file of certificates is does not count, but what is in it. */
function settingsOf({ url, host = "upstream", ca, ...rest }: BackendConfig): object {
  return { ...rest, url: url.href, host, ca: ca?.pem };
}

/** More names would make a line that nobody reads. */
const NAMED = 20;

/** What changed, in a line. */
export function describeChange({ clients, plans, sections, renewed, needRestart, ...backends }: ConfigChange): string {
  const parts = [
    ...listed("", backends, "draining"),
    ...listed("client ", clients, "removed"),
    ...listed("plan ", plans, "removed"),
    sections.length > 0 ? `changed ${sections.join(", ")}` : "",
    renewed.length > 0 ? `new certificate in ${renewed.join(" and ")}` : "",
    needRestart.length > 0 ? `${needRestart.join(", ")} will change at the next start` : "",
  ].filter((part) => part !== "");
  return `configuration taken over${parts.length > 0 ? ` (${parts.join("; ")})` : ""}`;
}

/** The same for programs. Of very many names there are the first, and how many more. */
export function loggedChange({ clients, plans, renewed, sections, needRestart, ...backends }: ConfigChange): object {
  return {
    ...cut(backends),
    clients: cut(clients),
    plans: cut(plans),
    sections,
    renewed,
    needRestart,
  };
}

function listed(what: string, { added, removed, changed }: NamedChange, gone: string): readonly string[] {
  const list = (verb: string, names: readonly string[]): string => {
    if (names.length === 0) return "";
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
    return `${verb} ${what}${names
      .slice(0, NAMED)
      .map((name) => JSON.stringify(name))
      .join(", ")}${more}`;
  };
  return [list("added", added), list(gone, removed), list("changed", changed)];
}

function cut({ added, removed, changed }: NamedChange): object {
  const more = [added, removed, changed].reduce((sum, { length }) => sum + Math.max(0, length - NAMED), 0);
  const [a, r, c] = [added, removed, changed].map((names) => names.slice(0, NAMED));
  return { added: a, removed: r, changed: c, ...(more > 0 && { more }) };
}
