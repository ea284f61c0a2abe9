import type { UsageStore } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core";
import { vi } from "vitest";

/** A store that counts what it is asked, and does what `state` says. */
export function watchedStore() {
  const memory = memoryStore();
  const state = { down: false, hangs: false };
  const reads: { readonly period: string; readonly backends: readonly string[] }[] = [];
  const answer = <T>(work: () => Promise<T>): Promise<T> =>
    state.hangs ? new Promise(() => {}) : state.down ? Promise.reject(new Error("down")) : work();
  const totals = vi.fn<UsageStore["totals"]>((...args) => answer(() => memory.totals(...args)));
  const tallies = vi.fn<UsageStore["tallies"]>((period, backends) => {
    reads.push({ period, backends: [...backends] });
    return answer(() => memory.tallies(period, backends));
  });
  const store: UsageStore = { ...memory, totals, tallies };
  const put = (backend: string, apiRequests: number, period = "2026-01") =>
    memory.merge([{ writer: "w", period, backend, usage: { apiRequests } }]);
  return { store, state, reads, totals, put };
}
