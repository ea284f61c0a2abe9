/** For `expect.poll`: what takes milliseconds may take seconds on a busy machine. */
export const SOON = { timeout: 30_000, interval: 10 } as const;
