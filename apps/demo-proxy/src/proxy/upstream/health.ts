import type { Clock } from "@usage/counter-core";
import { type Trouble, troubleOf } from "./trouble.ts";

/** Why a backend is passed over, and since when, in milliseconds since the Unix epoch. */
export interface BackendTrouble extends Trouble {
  readonly sinceMs: number;
}

export interface HealthOptions {
  readonly clock: Clock;
  /** How long it gets no requests after it failed, in milliseconds; twice as long after each probe that fails, up to a minute. */
  readonly pauseMs: number;
}

/** How long a backend is left alone that says 429 or 503 and not for how long, and at most, in milliseconds. */
const BUSY_MS = 10_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * well     gets requests           --failed, busy-->  resting
 * resting  gets none               --pause over-->    rested, or due after the first failure and after busy
 * rested   gets a probe where there is no other backend   --back-off over-->  due
 * due      gets one probe at a time
 *
 * A probe that is answered makes it well, from wherever it was sent; one that fails lets it rest for longer. A backend that was
 * connected to may stand in, in any state, where there is no other: what it fails at may be one request in a thousand.
 */
type Phase = "well" | "resting" | "rested" | "due";

/** Whether one backend is to get requests, by how it answered the ones before. */
export class BackendHealth {
  readonly #clock: Clock;
  readonly #pauseMs: number;
  #phase: Phase = "well";
  #trouble: BackendTrouble | undefined;
  #connected = true;
  /** Probes that are under way. */
  #probes = 0;
  /** Failures since the last answer that was whole. */
  #failures = 0;
  #stopped = false;
  #cancel: () => void = () => {};

  constructor({ clock, pauseMs }: HealthOptions) {
    this.#clock = clock;
    this.#pauseMs = pauseMs;
  }

  /** Why it is passed over, or is being tried again; undefined while it is well. */
  get trouble(): BackendTrouble | undefined {
    return this.#trouble;
  }

  /** Whether it gets requests: all of them, or the next as a probe. */
  get usable(): boolean {
    // fault: sends every request to a backend that is tried again
    return this.#phase === "well" || (this.#phase === "due" && this.#probes === 0);
  }

  /** Whether it is left alone for now. */
  get paused(): boolean {
    return this.#phase === "resting" || this.#phase === "rested";
  }

  /** Whether it may get a request where no other backend can take it. */
  get mayStandIn(): boolean {
    return this.#connected || (this.#phase !== "resting" && this.#probes === 0);
  }

  /** A request is sent to it; returns whether as a probe. */
  begin(): boolean {
    if (this.#phase === "well") return false;
    this.#probes += 1;
    return true;
  }

  /** A request is over, however it ended. */
  end(probe: boolean): void {
    if (probe) this.#probes -= 1;
  }

  /** It answered a request by something else than being too busy. */
  answered(probe: boolean): void {
    if (!probe || this.#phase === "well") return;
    this.#cancel();
    this.#phase = "well";
    this.#trouble = undefined;
  }

  /** An answer of it is whole. */
  completed(): void {
    if (this.#phase === "well") this.#failures = 0;
  }

  /** It answered 429 or 503: it is left alone for as long as its `Retry-After` says, seconds or an HTTP date. */
  busy(status: number, retryAfter: string | undefined): void {
    const ms = Math.min(LONGEST_PAUSE_MS, waitMs(retryAfter, this.#clock) ?? BUSY_MS);
    const reason = `it answers ${status} and is left alone for ${Math.ceil(ms / 1_000)} s; see its own limits and log`;
    this.#note({ code: String(status), reason }, true);
    this.#rest(ms, ms);
  }

  /**
   * A request failed by it.
   *
   * @param connected whether it was connected to.
   */
  failed(error: unknown, connected: boolean, probe: boolean): void {
    // What was under way when it was passed over says nothing new.
    if (this.#phase !== "well" && !probe) return;
    this.#note(troubleOf(error), connected);
    if (this.#phase === "resting") return;
    this.#failures += 1;
    const backOffMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2 ** (this.#failures - 1));
    this.#rest(this.#pauseMs, Math.max(this.#pauseMs, backOffMs));
  }

  /** Ends what waits for a time; it is not to be used any more. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** It gets no more requests until its configuration changes: what it failed at is past. */
  forget(): void {
    this.#cancel();
    this.#phase = "well";
    this.#trouble = undefined;
    this.#failures = 0;
  }

  #note(trouble: Trouble, connected: boolean): void {
    this.#trouble = { ...trouble, sinceMs: this.#trouble?.sinceMs ?? this.#clock.now() };
    this.#connected = connected;
  }

  #rest(pauseMs: number, backOffMs: number): void {
    this.#cancel();
    if (this.#stopped) return;
    this.#phase = "resting";
    this.#cancel = this.#clock.after(Math.max(1, pauseMs), () => {
      const restMs = backOffMs - pauseMs;
      this.#phase = restMs > 0 ? "rested" : "due";
      if (restMs > 0) {
        this.#cancel = this.#clock.after(restMs, () => {
          this.#phase = "due";
        });
      }
    });
  }
}

/** What a `Retry-After` (RFC 9110, section 10.2.3) asks for; undefined where it says nothing that can be read. */
function waitMs(retryAfter: string | undefined, clock: Clock): number | undefined {
  if (retryAfter === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(retryAfter)) return Number(retryAfter) * 1_000;
  // Date.parse takes much for a date that is none, such as 1.5. Those of HTTP begin with the day of the week.
  const atMs = /^\s*[A-Z][a-z]{2,8},? /.test(retryAfter) ? Date.parse(retryAfter) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - clock.now());
}
