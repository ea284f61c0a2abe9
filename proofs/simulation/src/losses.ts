import type { Tally } from "@usage/counter-core";
import { bucketOf } from "@usage/counter-redis";
import { BUCKETS } from "@usage/counter-redis/internal";
import { Book } from "./book.ts";
import { BACKENDS, type Instance } from "./instance.ts";
import type { Scene } from "./scene.ts";
import { sumOf, TallyIndex } from "./tally-index.ts";

/** Buckets of the two periods that whoever notices a loss of the store has looked at again. */
const ONE_OWES_ALL = 2 * BUCKETS;

/** What Redis and the store lost, and which counts went with it for good. */
export class Losses {
  readonly #scene: Scene;
  #count = 0;
  #silentLosses = 0;
  /** What nobody has any more, or nobody is known to bring: by run, period, backend, dimension. */
  readonly #lost = new Book();
  /** Those who live on from a loss of the store, of which each will have everything looked at again. */
  #noticers: readonly Instance[] = [];
  #hasStoreLost = false;
  /** Whether Redis lost something before what it had was looked at again. */
  #isTwiceLost = false;
  /** How often a bucket was to be looked at again when the store lost something. */
  #owedFrom = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  get count(): number {
    return this.#count;
  }

  get hasStoreLost(): boolean {
    return this.#hasStoreLost;
  }

  /** Whether the store lost something that it cannot tell: that shows when everything is read again. */
  get hasSilentLoss(): boolean {
    return this.#silentLosses > 0;
  }

  /** Something of what is shared goes. */
  ofRedis(what: string, lose: () => void): void {
    this.#count += 1;
    this.#scene.say(what);
    const { redis } = this.#scene.world;
    const isAllLookedAt = redis.oweAlls >= this.#owedFrom + ONE_OWES_ALL && !redis.doesEverybodyOwe();
    if (isAllLookedAt) this.#noticers = [];
    lose();
    this.note(false);
  }

  /** The store loses what it confirmed since some instant. */
  ofStore(what: string, lose: () => void): void {
    this.#count += 1;
    this.#scene.say(what);
    lose();
    if (this.#scene.storeDoes === "lose silently") this.#silentLosses += 1;
    else this.#noticers = this.#scene.instances.filter(isAlive);
    this.#hasStoreLost = true;
    this.#owedFrom = this.#scene.world.redis.oweAlls;
    this.note();
  }

  /** Some instance has let go of something. It had all of it stored: if the store lost it since, that is in nobody's memory. */
  noteLetGo(): void {
    if (this.#hasStoreLost) this.note();
  }

  /** What must come to be stored, or be held by whoever counted it where the store refuses it, and is not. */
  missing(): readonly string[] {
    if (this.#noticers.length > 0 && !this.#noticers.some(isAlive)) this.note();
    const { store } = this.#scene.world;
    const stored = new TallyIndex(store.origins());
    const held = new TallyIndex(
      this.#scene.instances
        .filter(isAlive)
        .flatMap(({ counter }) => counter.mine().filter((tally) => store.isFolded(tally.period))),
    );
    // Nobody told them of the loss.
    const ended = new Set(
      this.hasSilentLoss ? this.#scene.instances.filter((one) => one.isStopped).map(({ name }) => name) : [],
    );
    return Array.from(this.#scene.recorded.entries(), ([of, recorded]) => {
      const due = recorded - this.#lost.get(...of);
      const isExcused = this.#scene.discarded.has(of[2] as string) || ended.has(of[0] as string);
      const found = sumOfLarger([stored, held], of);
      return found < due && !isExcused ? `${of.join(" ")}: ${found} is stored of ${due}` : "";
    }).filter((problem) => problem !== "");
  }

  /** What has not been lost of what a run recorded. */
  kept(of: readonly string[]): number {
    return this.#scene.recorded.get(...of) - this.#lost.get(...of);
  }

  /**
   * What of a run nobody has any more is lost: neither the run itself, which is dead or has let go of it, nor the store, nor
   * Redis, where it is found by the list of what changed.
   *
   * @param isRedisLooked - Whether somebody looks at what is shared and was taken for stored.
   */
  note(isRedisLooked = true): void {
    const { redis, store } = this.#scene.world;
    const isLookedAt = isRedisLooked || this.#noticers.length === 0;
    const isNoticed = this.#noticers.length === 0 || this.#noticers.some(isAlive);
    // Who does not know of it yet may find that what would be looked at again is not to be any more.
    if (!isLookedAt) this.#isTwiceLost = true;
    if (!isLookedAt || !isNoticed) this.#noticers = [];
    const stored = new TallyIndex(store.origins());
    // Whoever is about to end may have stored what it has, and look no more.
    const keepers = this.#scene.instances.filter((one) => isAlive(one) && !(this.#hasStoreLost && one.isStopping));
    const held = new TallyIndex(keepers.flatMap((one) => this.#keptBy(one)));
    for (const [of, recorded] of this.#scene.recorded.entries()) {
      const [, period, backend] = of as [string, string, string];
      const isFound = redis.isListed(period, bucketOf(backend), backend) && !store.isFolded(period);
      const isMeant = isFound && isLookedAt && isNoticed && !this.hasSilentLoss && !this.#isTwiceLost;
      const shared = new TallyIndex(isMeant ? this.#scene.sharedOf(period, backend) : []);
      const found = sumOfLarger([stored, held, shared], of);
      this.#lost.set(Math.max(this.#lost.get(...of), recorded - found), ...of);
    }
  }

  /** What an instance counted, and will store whatever happens to Redis and the store. */
  #keptBy({ counter }: Instance): readonly Tally[] {
    if (!this.hasSilentLoss) return counter.mine();
    // It is noticed when all of the current period is read again; what is let go of before that goes with it.
    const { key } = counter.period();
    const given: readonly string[] = BACKENDS;
    return counter.mine().filter(({ period, backend }) => period === key && given.includes(backend));
  }

  /** What the store or Redis has of a run, a period, a backend and a dimension, under all names that the run counted under. */
  known(): (of: readonly string[]) => number {
    const stored = new TallyIndex(this.#scene.world.store.origins());
    const shared = new TallyIndex(
      [...this.#scene.truth.keys()].flatMap((period) =>
        this.#scene.names.flatMap((name) => this.#scene.sharedOf(period, name)),
      ),
    );
    return (of) => sumOfLarger([stored, shared], of);
  }

  /**
   * What everybody must see of a backend once all is shared. What one replica has of a writer is in the other then; unless a
   * store lost data, which is noticed by what its rows add up to. A second backup that is put back in silence may show rows again
   * that whoever came in between has never read: those wait until all is read again.
   */
  seenBySum(period: string, backend: string, dimension: string): number {
    const shared = sumOf(this.#scene.sharedOf(period, backend), dimension);
    return this.#silentLosses > 1 ? shared : Math.max(shared, sumOf(this.#scene.storedOf(period, backend), dimension));
  }
}

function isAlive({ machine }: Instance): boolean {
  return !machine.isDead;
}

/** Of a run, a period, a backend and a dimension: the larger amount of each name that the run counted under, added up. */
function sumOfLarger(indexes: readonly TallyIndex[], of: readonly string[]): number {
  const [run, period, backend, dimension] = of as [string, string, string, string];
  const writers = new Set(indexes.flatMap((index) => index.writersOf(run, period, backend)));
  let sum = 0;
  for (const writer of writers) {
    sum += Math.max(...indexes.map((index) => index.amount(writer, period, backend, dimension)));
  }
  return sum;
}
