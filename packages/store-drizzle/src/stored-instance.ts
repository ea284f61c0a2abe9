import type { StoredInstance } from "@usage/counter-core";

/** A row of the table of instances. */
export interface InstanceRow {
  readonly id: string;
  readonly startedAt: Date;
  readonly stoppedAt: Date | null;
  readonly seenAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

export function storedInstance({ id, startedAt, stoppedAt, seenAt, labels }: InstanceRow): StoredInstance {
  return {
    id,
    startedAt: startedAt.getTime(),
    ...(stoppedAt !== null && { stoppedAt: stoppedAt.getTime() }),
    labels,
    seenAt: seenAt.getTime(),
  };
}
