const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof EXIT_CODES;
const SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

// A terminal's Ctrl-C reaches the whole process group, and npx and pnpm pass their copy on: one key, several signals.
const SAME_SIGNAL_MS = 500;

/** Stops once at the first signal that asks for it; a second one ends the process at once. Resolves when `stop` is through. */
export function onSignal(stop: (signal: StopSignal) => Promise<void>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let firstAt: number | undefined;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        stop(signal).then(resolve, reject);
      } else if (now - firstAt > SAME_SIGNAL_MS) {
        process.exit(EXIT_CODES[signal]);
      }
    });
  }
  return promise;
}
