import type { Clock } from "../model/clock.ts";

/** Settles like `work`, or rejects with the signal's reason as soon as it is aborted: `work` itself may never settle. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    // Also where it was aborted before: what `work` rejects with later is nobody's unhandled rejection.
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Runs `work` with a signal that aborts with `error` after so many milliseconds, and with the outer signal's reason before. */
export async function withinTime<T>(
  clock: Clock,
  timeoutMs: number,
  error: Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const cancel = clock.after(timeoutMs, () => controller.abort(error));
  try {
    return await untilAborted(work(controller.signal), controller.signal);
  } finally {
    cancel();
  }
}
