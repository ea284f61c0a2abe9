import { answer } from "../child.ts";

/** Who looks at a proxy: a dashboard that is open, and Prometheus. */
export type Watch = { readonly ask: "start"; readonly adminPort: number } | { readonly ask: "stop" };

/** What they saw. */
export interface Watched {
  readonly events: number;
  readonly scrapes: number;
  readonly audits: number;
}

// As the page and the scrape configuration of Prometheus have them.
const SCRAPE_MS = 1_000;
const AUDIT_MS = 5_000;

let stop: () => Promise<Watched> = async () => ({ events: 0, scrapes: 0, audits: 0 });

process.on("message", async (watch: Watch) => {
  if (watch.ask === "stop") return answer(await stop());
  stop = await start(`http://127.0.0.1:${watch.adminPort}`);
  answer({});
});
process.on("disconnect", () => process.exit());

/** Resolves with the first event, as the page is drawn then, and asks for the rest. */
async function start(admin: string): Promise<() => Promise<Watched>> {
  const ended = new AbortController();
  const read = async (path: string): Promise<void> => {
    const response = await fetch(`${admin}${path}`);
    if (!response.ok || (await response.text()) === "") throw new Error(`${path} answered ${response.status}`);
  };
  const seen = { events: 0, scrapes: 0, audits: 0 };
  const pending = new Set<Promise<void>>();
  const again = (path: string, ms: number, seenAs: "scrapes" | "audits"): NodeJS.Timeout => {
    const once = (): void => {
      const reading = read(path)
        .then(() => void seen[seenAs]++)
        .finally(() => pending.delete(reading));
      pending.add(reading);
    };
    once();
    return setInterval(once, ms);
  };
  const events = await fetch(`${admin}/api/events`, { signal: ended.signal });
  const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) throw new Error(`/api/events answered ${events.status}`);
  await reader.read();
  const listening = listen(reader, () => void seen.events++);
  const timers = [again("/metrics", SCRAPE_MS, "scrapes"), again("/api/audit", AUDIT_MS, "audits")];
  await read("/api/history");
  return async () => {
    for (const timer of timers) clearInterval(timer);
    await Promise.all(pending);
    ended.abort();
    await listening;
    return seen;
  };
}

async function listen(reader: ReadableStreamDefaultReader<string>, told: () => void): Promise<void> {
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the proxy ended the stream of events");
      if (value.includes("\n\n")) told();
    }
  } catch (error) {
    if (!(error instanceof Error && error.name === "AbortError")) throw error;
  }
}
