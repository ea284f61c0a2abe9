import type { ThresholdEvent } from "@usage/tracker";

/** A client has used a part of a limit of its own, of what is stored of all instances. */
export interface ClientThresholdEvent extends Omit<ThresholdEvent, "backend"> {
  readonly client: string;
}

/** What a webhook is told. */
export type WebhookEvent = ThresholdEvent | ClientThresholdEvent;

/** An event of what counts clients. Clients may have names of backends, and the same limits: whoever acts once on each id is to act on both. */
export function ofClient({ id, backend: client, ...event }: ThresholdEvent): ClientThresholdEvent {
  // fault: gives an event of a client the id of one of a backend
  return { id: `client-${id}`, client, ...event };
}
