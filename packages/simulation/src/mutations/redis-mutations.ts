import type { Mutation, NamedTest } from "./mutation.ts";
import { FLEET_KILL, OUTAGES, SIMULATION } from "./named-tests.ts";

const contract = (title: string): NamedTest => ({
  file: "packages/counter-redis/test/shared-counter.contract.test.ts",
  title,
});
const outages = (title: string): NamedTest => ({ file: OUTAGES.file, title });

export const REDIS_MUTATIONS: readonly Mutation[] = [
  {
    name: "the script adds instead of keeping the maximum",
    file: "packages/counter-redis/lua/merge.lua",
    find: "changed[#changed + 1] = ARGV[f + 1]",
    replace: "changed[#changed + 1] = digits(amount + (number(found[i]) or 0))",
    caughtBy: [
      {
        file: "packages/counter-redis/test/merge-laws.test.ts",
        title: "holds the maximum of each field and, of each dimension, the sum over its writers",
      },
    ],
  },
  {
    name: "the script keeps what came last",
    file: "packages/counter-redis/lua/merge.lua",
    find: "if amount > values[i] then",
    replace: "if amount ~= values[i] then",
    caughtBy: [
      {
        file: "packages/counter-redis/test/faults.test.ts",
        title: "when a request that was given up on arrives after later ones of another connection",
      },
    ],
  },
  {
    name: "the script moves the sum by the whole amount",
    file: "packages/counter-redis/lua/merge.lua",
    find: "values[sum] = values[sum] + amount - values[i]",
    replace: "values[sum] = values[sum] + amount",
    caughtBy: [
      {
        file: "packages/simulation/test/model-redis.test.ts",
        title: "answers and holds what the scripts on a real server do, after any commands",
      },
    ],
  },
  {
    name: "takes what was acknowledged before for its own part, not what the reply says",
    file: "packages/counter-redis/src/shared-backend.ts",
    find: "const own = found.map((amount, d) => Math.max(amount, request.own[d] as number));",
    replace: "const own = found.map((_, d) => before?.own[d] ?? 0);",
    caughtBy: [SIMULATION],
  },
  {
    name: "lets a reply lower what is known of others",
    file: "packages/counter-redis/src/shared-backend.ts",
    find: "this.#shared[d] = Math.max(this.#shared[d] as number, othersOf(this.#reply, d));",
    replace:
      "this.#shared[d] = othersOf(this.#reply, d); this.#counts.setOthers(this.#index, d, this.#shared[d] as number);",
    caughtBy: [SIMULATION],
  },
  {
    name: "looks at replies that it had given up on",
    file: "packages/counter-redis/src/exchanges.ts",
    find: "const result = this.#last.then(() => this.#withDeadline(exchange)).then(then);",
    replace: "const result = exchange().then(then);",
    caughtBy: [SIMULATION],
  },
  {
    name: "a circuit that never closes",
    file: "packages/counter-redis/src/circuit.ts",
    find: "this.#state = SOUND;\n    return wasOpen;",
    replace: "if (!wasOpen) this.#state = SOUND;\n    return wasOpen;",
    caughtBy: [SIMULATION],
  },
  {
    name: "refuses to count while Redis is away",
    file: "packages/counter-redis/src/redis-counter-backend.ts",
    find: "this.#local.addAll(backend, usage);",
    replace: 'if (!this.isHealthy()) throw new Error("Redis is away"); this.#local.addAll(backend, usage);',
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-outage.test.ts",
        title: "serve every request and count each exactly once when it %s",
      },
    ],
  },
  {
    name: "sends to Redis in the request path",
    file: "packages/counter-redis/src/redis-counter-backend.ts",
    find: "this.#local.add(backend, dimension, amount);",
    replace: "this.#local.add(backend, dimension, amount); this.#counts.registered(this.period()).catch(() => {});",
    caughtBy: [outages("is away, no call of the request path sends a command, answers a promise or fails")],
  },
  {
    name: "stores nothing while Redis is away",
    file: "packages/counter-redis/src/redis-counter-backend.ts",
    find: "if (!this.#sharing) return own;",
    replace: "if (!this.#sharing) return [];",
    caughtBy: [outages("is away, nothing is sent to it, and tallies are stored all the same")],
  },
  {
    name: "fails to flush while Redis is away",
    file: "packages/counter-redis/src/redis-counter-backend.ts",
    find: "await this.#reconciler.missing().catch(() => [])",
    replace: "await this.#reconciler.missing()",
    caughtBy: [contract("and stores what it counted itself while nothing passes")],
  },
  {
    name: "does not look again at what did not change here",
    file: "packages/counter-redis/src/shared-backend.ts",
    find: "return !isWithin(nowMs, this.#repliedAtMs, refreshIntervalMs);",
    replace: "return false;",
    caughtBy: [
      contract("and comes back whole when all that was shared is lost"),
      outages(
        "fails over to a replica that lacked the last writes, no count is lost or doubled, and all soon agree again",
      ),
    ],
  },
  {
    name: "does not look at the mark of hydration",
    file: "packages/counter-redis/src/shared-backend.ts",
    find: '(before.mark !== "" && mark !== before.mark)',
    replace: "false",
    caughtBy: [SIMULATION],
  },
  {
    name: "marks as hydrated without what the store knows",
    file: "packages/counter-redis/src/shared-backend.ts",
    find: "const others = rows.filter(({ writer }) => writer !== this.#writer);",
    replace: "const others = rows.slice(0, 0);",
    caughtBy: [
      SIMULATION,
      OUTAGES,
      contract("and has what a killed instance had stored before all that was shared was lost"),
      {
        file: "apps/demo-proxy/test/compose-redis.test.ts",
        title: "brings what the database holds to a Redis that knows nothing of it",
      },
    ],
  },
  {
    name: "does not keep shared what is of a period that is over and not stored yet",
    file: "packages/counter-redis/src/shared-backend.ts",
    find: "if (!isCurrent && this.#counts.isSettled(this.#index)) return false;",
    replace: "if (!isCurrent) return false;",
    caughtBy: [SIMULATION],
  },
  {
    name: "trusts that others brought what the store knows",
    file: "packages/counter-redis/src/shared-backend.ts",
    find: "#wantsRows = true;\n  #hydrations",
    replace: "#wantsRows = false;\n  #hydrations",
    caughtBy: [SIMULATION],
  },
  {
    name: "does not reconcile",
    file: "packages/counter-redis/src/reconciler.ts",
    find: "backend.isMissingInStore())",
    replace: "false)",
    caughtBy: [
      SIMULATION,
      FLEET_KILL,
      {
        file: "apps/demo-proxy/test/main-redis.test.ts",
        title: "has what it shared stored by another one, at its second flush",
      },
    ],
  },
  {
    name: "does not reconcile the period before when it starts",
    file: "packages/counter-redis/src/reconciler.ts",
    find: "return [...current, ...(await this.#ofEndedPeriod())];",
    replace: "return current;",
    caughtBy: [SIMULATION],
  },
  {
    name: "reconciles only backends that it counts itself",
    file: "packages/counter-redis/src/reconciler.ts",
    find: "names.filter((name) => !known.has(name))",
    replace: "names.slice(0, 0)",
    caughtBy: [
      {
        file: "packages/counter-redis/test/exchange.test.ts",
        title: "store what an instance shared of backends that nobody else knows, when it did not live to do so",
      },
    ],
  },
  {
    name: "closes without sharing what is left",
    file: "packages/counter-redis/src/push-loop.ts",
    find: "await this.round().catch(() => {});",
    replace: "",
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-shutdown.test.ts",
        title: "shares what it cannot store, says what that is, and whoever comes later stores it",
      },
    ],
  },
  {
    name: "the model of Redis adds instead of keeping the maximum",
    file: "packages/simulation/src/model-redis.ts",
    find: "hash.set(field, amount);",
    replace: "hash.set(field, before + amount);",
    caughtBy: [SIMULATION],
  },
];
