import { Book } from "./book.ts";
import { DIMENSIONS, type Instance } from "./instance.ts";
import type { Scene } from "./scene.ts";

/** The promises, held against what really happened. Each check fails the simulation. */
export class Checks {
  readonly #scene: Scene;
  readonly #totals = new Float64Array(DIMENSIONS.length);
  /** What each run last saw of its period, by backend. */
  readonly #seen = new Map<string, { readonly period: string; readonly totals: Map<string, Float64Array> }>();
  #checkedRevision = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** What must hold at every instant. */
  always(): void {
    const { store } = this.#scene.world;
    this.#scene.failIfAnythingDid();
    if (store.revision !== this.#checkedRevision) {
      this.#checkedRevision = store.revision;
      for (const [of, amount] of this.#scene.storedByRun().entries()) {
        const recorded = this.#scene.recorded.get(...of);
        if (amount > recorded) this.#scene.fail(`${of.join(" ")}: ${amount} is stored, ${recorded} were recorded`);
      }
      const problem = store.foldProblem();
      if (problem !== undefined) this.#scene.fail(problem);
    }
    for (const instance of this.#scene.instances) if (!instance.machine.isDead) this.#seesOnlyMore(instance);
  }

  /** What is held of a period is never seen to be less than before, or more than the truth. */
  #seesOnlyMore({ counter, name }: Instance): void {
    const { key } = counter.period();
    const truth = this.#scene.truth.get(key);
    const before = this.#seen.get(name);
    const seen = before?.period === key ? before : { period: key, totals: new Map<string, Float64Array>() };
    this.#seen.set(name, seen);
    const held = counter.backends();
    for (const backend of held) {
      const last = seen.totals.get(backend) ?? new Float64Array(DIMENSIONS.length);
      seen.totals.set(backend, last);
      counter.readTotal(backend, this.#totals);
      const first = this.#scene.names.indexOf(backend) * DIMENSIONS.length;
      for (let d = 0; d < DIMENSIONS.length; d++) {
        const total = this.#totals[d] as number;
        const what = (): string => `${name} sees ${total} ${DIMENSIONS[d]} of ${backend} in ${key}`;
        if (total < (last[d] as number) && !this.#scene.discarded.has(backend)) {
          this.#scene.fail(`${what()}, and saw ${last[d]} before`);
        }
        if (total > (truth?.[first + d] ?? 0)) this.#scene.fail(`${what()}, the truth is ${truth?.[first + d] ?? 0}`);
        last[d] = total;
      }
    }
    if (seen.totals.size === held.length) return;
    // What was let go of may be less when it comes back: something may have been lost meanwhile.
    const names = new Set(held);
    for (const backend of seen.totals.keys()) if (!names.has(backend)) seen.totals.delete(backend);
    this.#scene.losses.noteLetGo();
  }

  /** While nothing can be stored: Redis has all that is not, and everybody sees all that is in either. */
  shared(): void {
    const knownOf = this.#scene.losses.known();
    const known = new Book();
    for (const [of] of this.#scene.recorded.entries()) {
      const [run, period, backend, dimension] = of as [string, string, string, string];
      if (this.#scene.discarded.has(backend)) continue;
      const kept = this.#scene.losses.kept(of);
      const found = knownOf(of);
      const isLive = this.#scene.instances.some(({ name, isReady }) => name === run && isReady);
      if (isLive && found < kept) this.#scene.fail(`${of.join(" ")}: ${found} is shared of ${kept}`);
      known.add(found, period, backend, dimension);
    }
    for (const { counter, name, isReady } of this.#scene.instances) {
      if (!isReady) continue;
      const { key } = counter.period();
      for (const backend of counter.backends()) {
        if (this.#scene.discarded.has(backend)) continue;
        const totals = counter.totalAll(backend);
        for (const dimension of DIMENSIONS) {
          const all = this.#scene.losses.hasStoreLost
            ? this.#scene.losses.seenBySum(key, backend, dimension)
            : known.get(key, backend, dimension);
          if (totals[dimension] < all) {
            this.#scene.fail(
              `${name} sees ${totals[dimension]} ${dimension} of ${backend} in ${key}, known are ${all}`,
            );
          }
        }
      }
    }
  }

  /** What must hold once everything is healed, and nothing is under way. */
  atRest(): void {
    const [missing] = this.#scene.losses.missing();
    if (missing !== undefined) this.#scene.fail(missing);
    for (const instance of this.#scene.instances) if (!instance.machine.isDead) this.#instanceAtRest(instance);
  }

  #instanceAtRest(instance: Instance): void {
    const { counter, name, flusher } = instance;
    if (!instance.isReady) this.#scene.fail(`${name} did not become ready`);
    if (!counter.isHealthy()) this.#scene.fail(`${name} has given up on Redis`);
    if (flusher.status().failures > 0)
      this.#scene.fail(`${name} still fails to flush: ${String(flusher.status().lastError)}`);
    this.seesAllStored(instance);
    if (this.#scene.losses.count > 0) return;
    for (const backend of counter.backends()) {
      for (const dimension of DIMENSIONS) {
        const unstored = counter.load(backend, dimension);
        if (unstored !== 0 && !this.#scene.discarded.has(backend))
          this.#scene.fail(`${name} takes ${unstored} ${dimension} of ${backend} for unstored`);
      }
    }
  }

  /** What it holds of the current period it sees as the store has it, and nothing more where nothing was lost. */
  seesAllStored({ counter, name }: Instance): void {
    const { key } = counter.period();
    const { usage: stored } = this.#scene.world.store.totals(key, name, DIMENSIONS, {}, 0);
    for (const backend of counter.backends()) {
      if (this.#scene.discarded.has(backend)) continue;
      const totals = counter.totalAll(backend);
      for (const dimension of DIMENSIONS) {
        const all = stored.get(backend)?.all[dimension] ?? 0;
        if (totals[dimension] < all)
          this.#scene.fail(`${name} sees ${totals[dimension]} ${dimension} of ${backend}, stored are ${all}`);
        if (this.#scene.losses.count === 0 && totals[dimension] !== all) {
          this.#scene.fail(
            `${name} sees ${totals[dimension]} ${dimension} of ${backend}, but nothing was lost and stored are ${all}`,
          );
        }
        const unpushed = counter.unpushedAll(backend)[dimension];
        if (unpushed > 0) this.#scene.fail(`${name} has not shared ${unpushed} ${dimension} of ${backend}`);
      }
    }
  }
}
