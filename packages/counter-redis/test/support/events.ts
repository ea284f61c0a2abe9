import type { RedisCounterBackend, RedisEvent } from "@usage/counter-redis";

type EventOf<K extends RedisEvent["kind"]> = Extract<RedisEvent, { readonly kind: K }>;

/** A list that grows with each event of one kind. */
export function eventsOf<K extends RedisEvent["kind"]>(counter: RedisCounterBackend, kind: K): EventOf<K>[] {
  const events: EventOf<K>[] = [];
  counter.onEvent((event) => {
    if (event.kind === kind) events.push(event as EventOf<K>);
  });
  return events;
}
