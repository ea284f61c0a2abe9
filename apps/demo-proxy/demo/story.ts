import { setTimeout as delay } from "node:timers/promises";
import type { UsageReport } from "../src/admin/api/usage/usage-report.ts";
import type { Journal } from "./journal.ts";
import { CUES, HISTORY_MONTHS } from "./scenario.ts";
import type { Role, Stage } from "./stage.ts";
import type { Traffic } from "./traffic.ts";

/** When a proxy was killed, and when it was there again, in milliseconds since the Unix epoch. */
export interface Kill {
  readonly name: string;
  readonly atMs: number;
  untilMs: number;
}

export interface StoryParts {
  readonly stage: Stage;
  readonly traffic: Traffic;
  readonly journal: Journal;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** What happens by itself is told as it is seen; what is done to proxies and Redis is done here, each at its time. */
export class Story {
  readonly #parts: StoryParts;
  kill: Kill | undefined;
  #taking: string | null | undefined;

  constructor(parts: StoryParts) {
    this.#parts = parts;
  }

  /** Resolves with its end. Rejects when it is told to end before, or when a step of it fails. */
  async play(): Promise<void> {
    const { journal, stage } = this.#parts;
    journal.tell(`${HISTORY_MONTHS} months of history are on the dashboard; now requests come`);
    const [, two] = stage.roles;
    await this.#cue("kill");
    await this.#kill(two);
    await this.#cue("startAgain");
    await this.#startAgain(two);
    if (stage.redis !== undefined) {
      await this.#cue("wipe");
      await this.#wipe();
    }
    await this.#cue("end");
    // A machine that is too slow for the pace comes to the same end, a little later.
    await this.#until(() => this.#parts.traffic.answers().refused > 0);
    const { refused } = this.#parts.traffic.answers();
    journal.tell(`the end: ${count(refused)} requests were refused, and reached no upstream`);
  }

  /** Tells what has changed since the last report. */
  see({ backends }: UsageReport): void {
    const { journal } = this.#parts;
    const taking = backends.find(({ withinLimits }) => withinLimits)?.name ?? null;
    const before = this.#taking;
    if (taking === before) return;
    this.#taking = taking;
    if (before === undefined || before === null) return;
    if (taking === null) journal.tell(`${before} is full, too: every request is refused now (429)`);
    else journal.tell(`${before} is full: ${taking} gets the requests`);
  }

  async #kill(role: Role): Promise<void> {
    const { journal } = this.#parts;
    const { process } = role;
    if (process === undefined) return;
    this.kill = { name: role.name, atMs: Date.now(), untilMs: Number.POSITIVE_INFINITY };
    await process.kill();
    role.process = undefined;
    journal.tell(`kill -9 ${process.pid}: proxy ${role.name} is gone; its clients ask the other one`);
  }

  async #startAgain(role: Role): Promise<void> {
    const { journal, stage } = this.#parts;
    if (this.kill !== undefined) this.kill.untilMs = Date.now();
    const process = await stage.start(role);
    const requests = requestsIn(await process.usage());
    journal.tell(`proxy ${role.name} is started again, and knows of ${count(requests)} requests`);
  }

  /** Redis is killed and comes back with nothing, at the same place. */
  async #wipe(): Promise<void> {
    const { journal, stage } = this.#parts;
    await stage.redis?.startEmpty();
    journal.tell("Redis was killed and has lost all it held; both proxies count on");
    await this.#until(async () => {
      const reports = await Promise.all(stage.roles.map(({ process }) => process?.usage()));
      return reports.every((report) => report?.counter.healthy);
    });
    const requests = requestsIn(await stage.one.usage());
    journal.tell(`Redis has all counts again: ${count(requests)} requests`);
  }

  async #cue(name: keyof typeof CUES): Promise<void> {
    const { journal, seconds, signal } = this.#parts;
    await delay(Math.max(0, CUES[name] * seconds * 1_000 - journal.elapsedMs()), undefined, { signal });
  }

  async #until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isTrue())) await delay(50, undefined, { signal: this.#parts.signal });
  }
}

function requestsIn({ backends }: UsageReport): number {
  return backends.reduce((all, { usage }) => all + usage.apiRequests, 0);
}

function count(amount: number): string {
  return amount.toLocaleString("en");
}
