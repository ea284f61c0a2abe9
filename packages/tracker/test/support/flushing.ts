import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { type FlushEvent, UsageFlusher, type UsageFlusherOptions, UsageTracker } from "@usage/tracker";
import { turn } from "./turn.ts";

export interface FlushingOptions extends Partial<Omit<UsageFlusherOptions, "tracker">> {
  /** In place of methods of the store. */
  readonly store?: Partial<UsageStore>;
}

/** A flusher on a clock and a store that a test moves, slows down and breaks. */
export function flushing({ store: replaced = {}, ...options }: FlushingOptions = {}) {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const counter = new LocalCounterBackend(["oci"], { clock });
  const memory = memoryStore();
  const hung = Promise.withResolvers<void>();
  /** `finish` ends the merges that hang. */
  const state = { down: false, hangs: false, merges: 0, finish: hung.resolve };
  const store: UsageStore = {
    ...memory,
    async merge(tallies) {
      state.merges += 1;
      if (state.hangs) await hung.promise;
      if (state.down) throw new Error("down");
      return memory.merge(tallies);
    },
    ...replaced,
  };
  const tracker = new UsageTracker(counter, { store, clock, limits: { oci: { apiRequests: 100 } } });
  const events: FlushEvent<"apiRequests" | "egressBytes" | "ingressBytes">[] = [];
  tracker.onFlush((event) => void events.push(event));
  const flusher = new UsageFlusher({ tracker, clock, random: () => 0, ...options });
  /** Lets time pass in steps, with all that is asynchronous in between. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(Math.min(left, 500));
      await turn(4);
    }
  };
  const stored = async (): Promise<number> => (await memory.history({}))[0]?.usage.apiRequests ?? 0;
  return { clock, counter, tracker, memory, store, state, flusher, events, pass, stored };
}
