import { setTimeout as sleep } from "node:timers/promises";

/** Dashboards that are opened and closed again and again: each listens to the events of a proxy for some seconds. */
export class Dashboards {
  readonly #end = new AbortController();
  readonly #running: readonly Promise<void>[];
  readonly problems: string[] = [];
  opened = 0;

  constructor(admins: readonly URL[], each: number) {
    this.#running = admins.flatMap((admin) => Array.from({ length: each }, () => this.#again(admin)));
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#running);
  }

  async #again(admin: URL): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      await sleep(2_000 * Math.random(), undefined, { signal }).catch(() => {});
      const closing = AbortSignal.any([signal, AbortSignal.timeout(Math.round(1_000 + 6_000 * Math.random()))]);
      await this.#listen(admin, closing).catch((error: unknown) => {
        if (!closing.aborted) this.problems.push(`a dashboard was cut off: ${String(error)}`);
      });
    }
  }

  async #listen(admin: URL, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const response = await fetch(new URL("/api/events", admin), { signal });
    if (!response.ok || response.body === null) throw new Error(`/api/events answers ${response.status}`);
    this.opened += 1;
    for await (const _ of response.body) if (signal.aborted) return;
    throw new Error("the events ended");
  }
}
