import type { Tally } from "@usage/counter-core";
import type {
  Bucket,
  Changes,
  ForgivenAmounts,
  MergedItem,
  MergeItem,
  MergeReply,
  Owing,
  ReadReply,
  Silent,
  StoredUpTo,
} from "@usage/counter-redis";
import { bucketKey, type Epoch, type Hash, mergeTally, NOBODY, NOTHING, type RedisSnapshot } from "./redis-data.ts";
import { ceilingOf, NO_PAIR, SliceBook, sumOf } from "./slice-book.ts";

/** What the scripts do to a server's data, without the server. A test holds it to the real one. */
export class ModelRedis {
  #epochs = new Map<string, Epoch>();
  #changes = new Map<string, ReadonlyMap<string, number>>();
  #versions = new Map<string, string>();
  #hashes = new Map<string, Hash>();
  /** How often everything of a bucket was to be looked at again. */
  oweAlls = 0;
  /** Is told of each grant before it is made, and by how much a limit would be passed if all used all that they were granted. */
  onGrant: (period: string, backend: string, dimension: string, excess: number) => void = () => {};
  /** Is told of each writer that is forgiven something of a dimension; by its name or, where it is undefined, for its silence. */
  onForgive: (
    writer: string,
    period: string,
    backend: string,
    dimension: string,
    amount: number,
    name?: string,
  ) => void = () => {};
  readonly #now: () => number;
  readonly #used = new Set<string>();
  #run = 1;
  #ids = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  merge(bucket: Bucket, run: string, dimensions: readonly string[], items: readonly MergeItem[]): MergeReply {
    const of = bucketKey(bucket);
    this.#used.add(of);
    const isGone = (name: string): boolean =>
      this.#changes.get(of)?.has(name) === true && !this.#hashes.has(`${of} ${name}`);
    const gone = items.map(({ backend }) => backend).filter(isGone);
    if (this.#isLost(of) || gone.length > 0) this.#renew(of);
    const changes = new Map(this.#changes.get(of));
    for (const name of gone) changes.delete(name);
    const epoch = this.#epochs.get(of) as Epoch;
    const { id, owed, ripe } = epoch;
    let { version } = epoch;
    const before = version;
    const owing = new Map(owed);
    const owe = (who: string): void => void owing.set(who, { since: owing.get(who)?.since ?? version, last: version });
    const merged = items.map(({ backend, writer, own, pairs, asks, rows = [], mark = "" }): MergedItem => {
      const key = `${of} ${backend}`;
      const known = this.#hashes.get(key);
      const tallies = new Map(known?.tallies);
      const others = rows.filter((row) => row.writer !== writer);
      const ownGrew = mergeTally(
        tallies,
        writer,
        dimensions.map((name, d) => [name, own[d] ?? 0] as const),
      );
      let changed = ownGrew;
      for (const row of others) changed = mergeTally(tallies, row.writer, Object.entries(row.usage)) || changed;
      const isMarked = mark !== "" && mark === id && known?.mark !== id;
      changed ||= isMarked;
      const bears = isMarked ? id : (known?.mark ?? "");
      const slices = known?.slices ?? (pairs && { pairs: new Map(), hungry: new Map(), saidAtMs: new Map() });
      const book = slices && new SliceBook(tallies, slices);
      if (book !== undefined && pairs !== undefined) {
        dimensions.forEach((name, d) => {
          changed = book.raise(writer, name, pairs[d] ?? NO_PAIR) || changed;
        });
        const grants = ripe === id && bears === id;
        asks?.forEach((ask, d) => {
          if (ask === undefined || !grants) return;
          const name = dimensions[d] as string;
          const onGrant = (excess: number): void => this.onGrant(bucket.period.key, backend, name, excess);
          changed = book.grant(writer, name, ask, onGrant) || changed;
        });
      }
      const speaks = pairs !== undefined && book?.speak(writer, this.#now());
      if (changed || speaks) this.#hashes.set(key, { mark: bears, tallies, ...(book && { slices: book.slices }) });
      const isUnknown = known !== undefined && !changes.has(backend);
      if (changed || isUnknown) {
        version += 1;
        changes.set(backend, version);
      }
      if (ownGrew) owe(run);
      if (isUnknown) owe("*");
      const mine = tallies.get(writer);
      const counts = {
        exists: known !== undefined || changed,
        isWhole: bears === id,
        sums: dimensions.map((name) => sumOf(tallies, name)),
        own: dimensions.map((name) => mine?.get(name) ?? 0),
      };
      if (book === undefined || !counts.exists) return counts;
      return { ...counts, slices: { isRipe: ripe === id, ...book.of(writer, dimensions) } };
    });
    this.#epochs.set(of, { ...(this.#epochs.get(of) as Epoch), version, owed: owing });
    this.#changes.set(of, changes);
    if (version > before) this.#versions.set(of, `${id} ${version}`);
    return { epoch: id, before, after: version, items: merged };
  }

  versions(buckets: readonly Bucket[]): readonly string[] {
    return buckets.map((bucket) => this.#versions.get(bucketKey(bucket)) ?? "");
  }

  changed(bucket: Bucket, epoch: string, cursor: number): Changes {
    const of = bucketKey(bucket);
    if (this.#isLost(of)) return { epoch: "", version: 0, backends: [] };
    const { id, version } = this.#epochs.get(of) as Epoch;
    const isKnown = epoch === "" || epoch === id;
    return { epoch: id, version, backends: isKnown ? this.#namesFrom(of, cursor + 1) : [] };
  }

  count(bucket: Bucket, backends: readonly string[]): number {
    return backends.filter((name) => this.#hashes.has(`${bucketKey(bucket)} ${name}`)).length;
  }

  owing(bucket: Bucket): Owing {
    const of = bucketKey(bucket);
    if (!this.#epochs.has(of) && !this.#changes.has(of)) return { epoch: "", owed: [] };
    if (this.#isLost(of)) this.#renew(of);
    const { id, owed } = this.#epochs.get(of) as Epoch;
    return { epoch: id, owed: Array.from(owed, ([run, { since, last }]) => ({ run, since, last })) };
  }

  changedSince(bucket: Bucket, version: number): readonly string[] {
    return this.#namesFrom(bucketKey(bucket), version);
  }

  tallies(bucket: Bucket, backends: readonly string[]): readonly ReadReply[] {
    return backends.map((backend) => {
      const { tallies } = this.#hashes.get(`${bucketKey(bucket)} ${backend}`) ?? NOBODY;
      const all = Array.from(tallies, ([writer, amounts]): Tally => {
        const usage = Object.fromEntries([...amounts].filter(([, amount]) => amount > 0));
        return { writer, period: bucket.period.key, backend, usage };
      });
      return { tallies: all };
    });
  }

  report(bucket: Bucket, epoch: string, stored: readonly StoredUpTo[]): void {
    const of = bucketKey(bucket);
    const known = this.#epochs.get(of);
    if (known?.id !== epoch) return;
    const owed = new Map(known.owed);
    for (const { run, version } of stored) {
      const one = owed.get(run);
      if (one === undefined) continue;
      if (one.last <= version) owed.delete(run);
      else owed.set(run, { since: Math.max(one.since, version + 1), last: one.last });
    }
    this.#epochs.set(of, { ...known, owed });
  }

  oweAll(bucket: Bucket): void {
    this.oweAlls += 1;
    const known = this.#epochs.get(bucketKey(bucket));
    if (known === undefined) return;
    const owed = new Map(known.owed).set("*", { since: 0, last: known.version });
    this.#epochs.set(bucketKey(bucket), { ...known, owed });
  }

  ripen(bucket: Bucket, epoch: string): void {
    const known = this.#epochs.get(bucketKey(bucket));
    if (known?.id === epoch) this.#epochs.set(bucketKey(bucket), { ...known, ripe: epoch });
  }

  forgive(
    bucket: Bucket,
    backend: string,
    { silentMs, writer }: Silent,
    dimensions: readonly string[],
  ): readonly ForgivenAmounts[] {
    const of = bucketKey(bucket);
    const key = `${of} ${backend}`;
    const known = this.#hashes.get(key);
    if (this.#isLost(of) || known?.slices === undefined) return [];
    const epoch = this.#epochs.get(of) as Epoch;
    const book = new SliceBook(known.tallies, known.slices);
    const forgiven = [...known.slices.pairs.keys()].flatMap((one): readonly ForgivenAmounts[] => {
      const silent = this.#now() - Math.max(book.saidAtMs(one), epoch.sinceMs);
      if ((writer !== undefined && writer !== one) || silent < silentMs) return [];
      const amounts = book.forgive(one);
      if (amounts.size === 0) return [];
      for (const [name, amount] of amounts) this.onForgive(one, bucket.period.key, backend, name, amount, writer);
      return [{ writer: one, amounts: dimensions.map((name) => amounts.get(name) ?? 0) }];
    });
    if (forgiven.length === 0) return [];
    const version = epoch.version + 1;
    this.#hashes.set(key, { ...known, slices: book.slices });
    this.#epochs.set(of, { ...epoch, version });
    this.#changes.set(of, new Map(this.#changes.get(of)).set(backend, version));
    this.#versions.set(of, `${epoch.id} ${version}`);
    return forgiven;
  }

  forget(bucket: Bucket, backend: string): void {
    const of = bucketKey(bucket);
    this.#hashes.delete(`${of} ${backend}`);
    const changes = new Map(this.#changes.get(of));
    if (changes.delete(backend)) this.#changes.set(of, changes);
  }

  /** What a writer has there. */
  amountOf(period: string, bucket: number, backend: string, writer: string, dimension: string): number {
    return this.#hashes.get(`${period} ${bucket} ${backend}`)?.tallies.get(writer)?.get(dimension) ?? 0;
  }

  /** What a run has used there as far as known, or may use without asking; under all names that it counted under. */
  spokenFor(period: string, bucket: number, backend: string, run: string, dimension: string): number {
    return this.#sum(period, bucket, backend, run, dimension, (tally, granted) => Math.max(tally, granted));
  }

  /** What a run has been granted there and not returned. */
  granted(period: string, bucket: number, backend: string, run: string, dimension: string): number {
    return this.#sum(period, bucket, backend, run, dimension, (_, granted) => granted);
  }

  /** What a run may still use there without asking. */
  unused(period: string, bucket: number, backend: string, run: string, dimension: string): number {
    return this.#sum(period, bucket, backend, run, dimension, (tally, granted) => Math.max(0, granted - tally));
  }

  /** What all may still use there without asking. */
  heldOf(period: string, bucket: number, backend: string, dimension: string): number {
    const { tallies, slices } = this.#hashes.get(`${period} ${bucket} ${backend}`) ?? NOBODY;
    return slices === undefined ? 0 : (new SliceBook(tallies, slices).of("", [dimension]).held[0] as number);
  }

  /** Whether anybody who looks at a bucket finds the backend there. */
  isListed(period: string, bucket: number, backend: string): boolean {
    return this.#changes.get(`${period} ${bucket}`)?.has(backend) ?? false;
  }

  /** Whether there are buckets that are to be looked at again. */
  doesEverybodyOwe(): boolean {
    return [...this.#epochs.values()].some(({ owed }) => owed.has("*"));
  }

  /** Everything of a bucket that was ever there. */
  keysOf(bucket: string): readonly string[] {
    return this.keys().filter((key) => key.includes(` ${bucket} `) || key.endsWith(` ${bucket}`));
  }

  /** By period and number. */
  buckets(): readonly string[] {
    return [...this.#used];
  }

  /** Whether anybody ever merged anything into a bucket. */
  isUsed(bucket: Bucket): boolean {
    return this.#used.has(bucketKey(bucket));
  }

  keys(): readonly string[] {
    const kinds = { epoch: this.#epochs, changes: this.#changes, version: this.#versions, hash: this.#hashes };
    return Object.entries(kinds).flatMap(([kind, map]) => Array.from(map.keys(), (key) => `${kind} ${key}`));
  }

  evict(key: string): void {
    const [kind = "", ...rest] = key.split(" ");
    const of = rest.join(" ");
    if (kind === "epoch") this.#epochs.delete(of);
    else if (kind === "changes") this.#changes.delete(of);
    else if (kind === "version") this.#versions.delete(of);
    else this.#hashes.delete(of);
  }

  snapshot(): RedisSnapshot {
    return {
      epochs: new Map(this.#epochs),
      changes: new Map(this.#changes),
      versions: new Map(this.#versions),
      hashes: new Map(this.#hashes),
    };
  }

  /** All data go; the server runs on. */
  wipe(): void {
    this.#load(NOTHING);
  }

  /** Begins again, or follows another server, with what was there once: another run, or another history of its data. */
  restore(snapshot: RedisSnapshot = NOTHING): void {
    // fault: the model of Redis restarts under the same run
    this.#run += 1;
    this.#load(snapshot);
  }

  #load({ epochs, changes, versions, hashes }: RedisSnapshot): void {
    this.#epochs = new Map(epochs);
    this.#changes = new Map(changes);
    this.#versions = new Map(versions);
    this.#hashes = new Map(hashes);
  }

  /** Of what a run counted and was granted under each of its names. */
  #sum(
    period: string,
    bucket: number,
    backend: string,
    run: string,
    dimension: string,
    of: (tally: number, granted: number) => number,
  ): number {
    const { tallies, slices } = this.#hashes.get(`${period} ${bucket} ${backend}`) ?? NOBODY;
    const writers = new Set([...tallies.keys(), ...(slices?.pairs.keys() ?? [])]);
    let sum = 0;
    for (const writer of writers) {
      if (writer.split(".", 1)[0] !== run) continue;
      const ceiling = ceilingOf(slices?.pairs.get(writer)?.get(dimension) ?? NO_PAIR);
      sum += of(tallies.get(writer)?.get(dimension) ?? 0, ceiling);
    }
    return sum;
  }

  #isLost(of: string): boolean {
    return this.#epochs.get(of)?.run !== String(this.#run) || !this.#changes.has(of);
  }

  #renew(of: string): void {
    const known = this.#epochs.get(of);
    const changes = this.#changes.get(of) ?? new Map<string, number>();
    const version = Math.max(known?.version ?? 0, ...changes.values());
    const owed = new Map(known?.owed);
    if (known === undefined && changes.size > 0) owed.set("*", { since: 0, last: version });
    this.#ids += 1;
    const id = `e${this.#ids}`;
    this.#epochs.set(of, { id, run: String(this.#run), version, sinceMs: this.#now(), ripe: known?.ripe ?? "", owed });
    this.#changes.set(of, changes);
    this.#versions.set(of, `${id} ${version}`);
  }

  #namesFrom(of: string, version: number): readonly string[] {
    return [...(this.#changes.get(of) ?? [])]
      .filter(([, at]) => at >= version)
      .sort(([, a], [, b]) => a - b)
      .map(([name]) => name);
  }
}
