import { setTimeout as sleep } from "node:timers/promises";
import { FleetMember, type StepListener } from "../fleet/member.ts";
import type { InstanceSettings } from "../fleet/messages.ts";

const LONGEST_START_MS = 120_000;

export interface CrewOptions {
  readonly size: number;
  readonly settingsOf: (place: number) => InstanceSettings;
  readonly onStep: StepListener;
  /** An instance ended by itself, or cannot be started for long. */
  readonly onProblem: (problem: string) => void;
  readonly signal: AbortSignal;
}

/** The instances, each in a place of its own, where a new one follows one that was killed. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #places: (FleetMember | undefined)[];
  readonly #starting = new Set<Promise<void>>();
  /** All that ever ran. */
  readonly members: FleetMember[] = [];
  kills = 0;
  /** Starts that failed, since Redis or Postgres was away. */
  failedStarts = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#places = Array.from({ length: options.size }, () => undefined);
  }

  async start(): Promise<void> {
    for (const place of this.#places.keys()) this.#fill(place);
    await this.whole();
  }

  /** Resolves when there is somebody in each place. */
  async whole(): Promise<void> {
    while (this.#starting.size > 0) await Promise.all(this.#starting);
  }

  get running(): readonly FleetMember[] {
    return this.#places.filter((member) => member !== undefined);
  }

  /** The place of a running instance; nothing while there is none. */
  pick(detail: number): number | undefined {
    const taken = this.#places.flatMap((member, place) => (member === undefined ? [] : [place]));
    return taken[Math.floor(detail * taken.length)];
  }

  /** Kills whoever is there, and lets another one follow. */
  async kill(place: number): Promise<void> {
    const member = this.#places[place];
    if (member === undefined) return;
    this.#places[place] = undefined;
    this.kills += 1;
    await member.kill();
    this.#fill(place);
  }

  freeze(place: number): FleetMember | undefined {
    const member = this.#places[place];
    member?.instance.pause();
    return member;
  }

  /** Nothing happens when it was killed meanwhile. */
  thaw(member: FleetMember | undefined): void {
    if (member?.record.end === undefined) member?.instance.resume();
  }

  /** One more, in a place of its own. */
  async join(): Promise<FleetMember> {
    const place = this.#places.push(undefined) - 1;
    this.#fill(place);
    await this.whole();
    const member = this.#places[place];
    if (member === undefined) throw new Error("no instance can be started");
    return member;
  }

  /** SIGKILL to all, whatever they do. */
  async end(): Promise<void> {
    await Promise.all(this.#starting);
    await Promise.all(this.running.map((member) => member.kill()));
  }

  #fill(place: number): void {
    const starting = this.#startIn(place).finally(() => this.#starting.delete(starting));
    this.#starting.add(starting);
  }

  async #startIn(place: number): Promise<void> {
    const { settingsOf, onStep, onProblem, signal } = this.#options;
    const deadline = Date.now() + LONGEST_START_MS;
    let reason: unknown;
    while (!signal.aborted) {
      if (Date.now() > deadline) return onProblem(`no instance starts in place ${place}: ${String(reason)}`);
      try {
        const member = await FleetMember.start(settingsOf(place), onStep);
        this.members.push(member);
        this.#watch(member, place);
        await member.load();
        this.#places[place] = member;
        return;
      } catch (error) {
        reason = error;
        this.failedStarts += 1;
        await sleep(300);
      }
    }
  }

  #watch(member: FleetMember, place: number): void {
    void member.ended.then(({ code, signal }) => {
      const output = member.instance.output();
      if (output !== "") this.#options.onProblem(`${member.writer} wrote: ${output}`);
      if (member.record.end !== undefined) return;
      this.#places[place] = undefined;
      this.#options.onProblem(`${member.writer} ended by itself, by ${signal ?? `code ${code}`}`);
    });
  }
}
