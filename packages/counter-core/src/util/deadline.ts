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

/** Settles like `work`, or rejects with what `late` makes after so many milliseconds: `work` itself may never settle. */
export function inTime<T>(clock: Clock, timeoutMs: number, late: () => Error, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => reject(late()));
    work().then(resolve, reject).finally(cancel);
  });
}

/** `inTime` for what listens to a signal, which aborts with what `late` makes. */
export async function withinTime<T>(
  clock: Clock,
  timeoutMs: number,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const cancel = clock.after(timeoutMs, () => controller.abort(late()));
  try {
    return await untilAborted(work(controller.signal), controller.signal);
  } finally {
    cancel();
  }
}
