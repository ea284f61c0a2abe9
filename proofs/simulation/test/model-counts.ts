import type { SharedCounts } from "@usage/counter-redis";
import type { ModelRedis } from "@usage/simulation";

/** How a call gets to the model and its reply back; `call` has the name of the method, or is "rows" for a merge that brings some. */
export type Way = <T>(call: string, execute: () => T) => Promise<T>;

/** The model as a counter sees it. */
export function countsOf(redis: ModelRedis, dimensions: readonly string[], way: Way): SharedCounts {
  return {
    batchSize: 100,
    isDivided: false,
    merge: (at, run, items) => {
      const brings = items.some(({ rows = [] }) => rows.length > 0);
      return way(brings ? "rows" : "merge", () => redis.merge(at, run, dimensions, items));
    },
    versions: (all) => way("versions", () => redis.versions(all)),
    changed: (at, epoch, cursor) => way("changed", () => redis.changed(at, epoch, cursor)),
    count: (at, names) => way("count", () => redis.count(at, names)),
    owing: (at) => way("owing", () => redis.owing(at)),
    changedSince: (at, version) => way("changedSince", () => redis.changedSince(at, version)),
    tallies: (at, names) => way("tallies", () => redis.tallies(at, names)),
    report: (at, epoch, upTo) => way("report", () => redis.report(at, epoch, upTo)),
    ripen: (at, id) => way("ripen", () => redis.ripen(at, id)),
    oweAll: (at) => way("oweAll", () => redis.oweAll(at)),
    forgive: (at, name, silent) => way("forgive", () => redis.forgive(at, name, silent, dimensions)),
    forget: (at, name) => way("forget", () => redis.forget(at, name)),
  };
}
