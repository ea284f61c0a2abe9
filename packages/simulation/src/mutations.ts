/** A deliberate fault in the code: what would stand in a file in place of something that stands there once. */
export interface Mutation {
  readonly name: string;
  /** Below `packages/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Each must make the simulation fail: a simulation that lets one pass proves nothing. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "adds instead of keeping the maximum",
    file: "simulation/src/model-redis.ts",
    find: "hash.set(field, amount);",
    replace: "hash.set(field, before + amount);",
  },
  {
    name: "the store adds instead of keeping the maximum",
    file: "simulation/src/model-store.ts",
    find: "Math.max(amount, amountOf(known, name))",
    replace: "amount + amountOf(known, name)",
  },
  {
    name: "takes what was acknowledged before for its own part, not what the reply says",
    file: "counter-redis/src/shared-backend.ts",
    find: "const own = found.map((amount, d) => Math.max(amount, request.own[d] as number));",
    replace: "const own = found.map((_, d) => before?.own[d] ?? 0);",
  },
  {
    name: "settles before it merges",
    file: "tracker/src/flush-queue.ts",
    find: "rejected = await untilAborted(store.merge(tallies, options), signal);",
    replace: "this.#counter.settle(tallies); rejected = await untilAborted(store.merge(tallies, options), signal);",
  },
  {
    name: "settles what failed",
    file: "tracker/src/flush-queue.ts",
    find: "rejected = await untilAborted(store.merge(tallies, options), signal);",
    replace: "rejected = await untilAborted(store.merge(tallies, options), signal).catch(() => []);",
  },
  {
    name: "forgets the periods that are over",
    file: "counter-core/src/tally-book.ts",
    find: "for (const cells of this.#ledger.all()) {\n      for (let i",
    replace: "for (const cells of [this.#ledger.current()]) {\n      for (let i",
  },
  {
    name: "counts a closed period into the current one",
    file: "counter-core/src/tally-book.ts",
    find: "tallies.push({ writer: this.#writerOf(cells, row), period: cells.period.key, backend, usage });",
    replace:
      "tallies.push({ writer: this.#writerOf(cells, row), period: this.#ledger.current().period.key, backend, usage });",
  },
  {
    name: "lets a reply lower what is known of others",
    file: "counter-redis/src/shared-backend.ts",
    find: "this.#shared[d] = Math.max(this.#shared[d] as number, othersOf(this.#reply, d));",
    replace:
      "this.#shared[d] = othersOf(this.#reply, d); this.#counts.setOthers(this.#index, d, this.#shared[d] as number);",
  },
  {
    name: "does not reconcile",
    file: "counter-redis/src/reconciler.ts",
    find: "backend.isMissingInStore())",
    replace: "false)",
  },
  {
    name: "does not reconcile the period before when it starts",
    file: "counter-redis/src/reconciler.ts",
    find: "return [...current, ...(await this.#ofEndedPeriod())];",
    replace: "return current;",
  },
  {
    name: "does not look at the mark of hydration",
    file: "counter-redis/src/shared-backend.ts",
    find: '(before.mark !== "" && mark !== before.mark)',
    replace: "false",
  },
  {
    name: "marks as hydrated without what the store knows",
    file: "counter-redis/src/shared-backend.ts",
    find: "const others = rows.filter(({ writer }) => writer !== this.#writer);",
    replace: "const others = rows.slice(0, 0);",
  },
  {
    name: "does not keep shared what is of a period that is over and not stored yet",
    file: "counter-redis/src/shared-backend.ts",
    find: "if (!isCurrent && this.#counts.isSettled(this.#index)) return false;",
    replace: "if (!isCurrent) return false;",
  },
  {
    name: "trusts that others brought what the store knows",
    file: "counter-redis/src/shared-backend.ts",
    find: "#wantsRows = true;\n  #hydrations",
    replace: "#wantsRows = false;\n  #hydrations",
  },
  {
    name: "a circuit that never closes",
    file: "counter-redis/src/circuit.ts",
    find: "this.#state = SOUND;\n    return wasOpen;",
    replace: "if (!wasOpen) this.#state = SOUND;\n    return wasOpen;",
  },
  {
    name: "looks at replies that it had given up on",
    file: "counter-redis/src/exchanges.ts",
    find: "const result = this.#last.then(() => this.#withDeadline(exchange)).then(then);",
    replace: "const result = exchange().then(then);",
  },
];
