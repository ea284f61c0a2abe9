import { type FlushMessage, flushChannel } from "@usage/tracker";
import type { FlushListener } from "../metrics/timed-flusher.ts";
import { type Log, messageOf } from "./logger.ts";

/** Writes a line when flushes begin to fail, for the 10th, 100th and so on failure in a row, and when they work again. */
export function flushListener(log: Log): FlushListener {
  let failures = 0;
  return (error) => {
    if (error !== undefined) {
      failures += 1;
      if (isPowerOfTen(failures)) logFailure(log, failures, messageOf(error));
    } else if (failures > 0) {
      log.info({ event: "flush-recovered", failures }, `flush works again after ${times(failures)}, nothing is lost`);
      failures = 0;
    }
  };
}

/** Writes a line for what the store refuses for ever. Answers how to stop. */
export function logRefusedUsage(log: Log): () => void {
  const refused = new Set<string>();
  const listener = (message: unknown): void => {
    if (!isFlushMessage(message)) return;
    for (const { tally, reason } of message.rejected) {
      const { backend, period } = tally;
      const line = `the store refuses the usage of ${JSON.stringify(backend)} in ${period}: ${reason.message}`;
      // It is tried again with every flush; once is enough to say so.
      if (!refused.has(line)) log.error({ event: "usage-refused", backend, period, error: reason.message }, line);
      refused.add(line);
    }
  };
  flushChannel.subscribe(listener);
  return () => flushChannel.unsubscribe(listener);
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

function isFlushMessage(message: unknown): message is FlushMessage {
  return typeof message === "object" && message !== null && "rejected" in message;
}
