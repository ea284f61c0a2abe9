import type { StorageDimension } from "@usage/counter-core";
import type { FlushEvent, UsageTracker } from "@usage/tracker";
import type { Log } from "./logger.ts";
import { messageOf } from "./message-of.ts";

/**
 * Writes a line when flushes begin to fail, for the 10th, 100th and so on failure in a row, and when they work again; and one
 * for what the store refuses for ever, and whenever it lost what it had. Until what it returns is disposed of.
 */
export function logFlushes(log: Log, { onFlush }: Pick<UsageTracker, "onFlush">): Disposable {
  let failures = 0;
  const refused = new Set<string>();
  return onFlush((event) => {
    logRefused(log, event, refused);
    if (event.lost) logLoss(log, event);
    if (event.error !== undefined) {
      failures += 1;
      if (isPowerOfTen(failures)) logFailure(log, failures, messageOf(event.error));
    } else if (failures > 0) {
      log.info({ event: "flush-recovered", failures }, `flush works again after ${times(failures)}, nothing is lost`);
      failures = 0;
    }
  });
}

/** It is tried again with every flush; once is enough to say so. */
function logRefused(log: Log, { rejected }: FlushEvent<StorageDimension>, told: Set<string>): void {
  for (const { tally, reason } of rejected) {
    const { backend, period } = tally;
    const line = `the store refuses the usage of ${JSON.stringify(backend)} in ${period}: ${reason.message}`;
    if (!told.has(line)) log.error({ event: "usage-refused", backend, period, error: reason.message }, line);
    told.add(line);
  }
}

function logLoss(log: Log, { error }: FlushEvent<StorageDimension>): void {
  const lost = "the store has lost what it had: its file was deleted or replaced";
  const others = "what earlier runs and other processes had stored is only in a backup";
  const mended = error === undefined ? "stored again" : "kept until it can be stored again";
  log.error(
    { event: "store-lost", storedAgain: error === undefined },
    `${lost}; what this process counted is ${mended}, ${others}`,
  );
}

function logFailure(log: Log, failures: number, error: string): void {
  const words = failures === 1 ? "flush failed" : `flush has failed ${failures} times in a row`;
  log.error({ event: "flush-failed", failures, error }, `${words}, the counts are kept and tried again: ${error}`);
}

function times(count: number): string {
  return count === 1 ? "1 failure" : `${count} failures`;
}

function isPowerOfTen(count: number): boolean {
  return /^10*$/.test(String(count));
}
