import { answer } from "../child.ts";

export interface Serving {
  readonly port: number;
}

/** What a server's process has used so far, in microseconds. */
export interface CpuUsed {
  readonly cpuUs: number;
}

/** Tells the benchmark where this server listens, and from then on, each time it asks, how much CPU time it has used. */
export function serve<S extends Serving>(serving: S): void {
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    answer({ cpuUs: user + system } satisfies CpuUsed);
  });
  process.on("disconnect", () => process.exit());
  answer(serving);
}

/** The upstream, as the first argument says. */
export function upstreamOrigin(): string {
  const [, , origin] = process.argv;
  if (origin === undefined) throw new Error("the first argument must be the upstream's origin");
  return origin;
}
