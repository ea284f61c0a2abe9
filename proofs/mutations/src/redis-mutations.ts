import { before, change, drop, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { FLEET_KILL, OUTAGES, SIMULATION } from "./named-tests.ts";

const contract = (title: string): NamedTest => ({
  file: "packages/counter-redis/test/shared-counter.contract.test.ts",
  title,
});
const rights = (title: string): NamedTest => ({ file: "packages/counter-redis/test/rights.test.ts", title });
const WITHDRAWN: NamedTest = {
  file: "apps/demo-proxy/test/redis-rights.test.ts",
  title: "rights that are withdrawn from a running proxy are in its log, its report, its metrics and on its dashboard",
};
const outages = (title: string): NamedTest => ({ file: OUTAGES.file, title });

export const REDIS_MUTATIONS: readonly Mutation[] = [
  {
    name: "the script adds instead of keeping the maximum",
    edit: yields("digits(amount + (number(found[i]) or 0))"),
    caughtBy: [
      {
        file: "packages/counter-redis/test/merge-laws.test.ts",
        title: "holds the maximum of each field and, of each dimension, the sum over its writers",
      },
    ],
  },
  {
    name: "the script keeps what came last",
    edit: change(/ > /, " ~= "),
    caughtBy: [
      {
        file: "packages/counter-redis/test/faults.test.ts",
        title: "when a request that was given up on arrives after later ones of another connection",
      },
    ],
  },
  {
    name: "the script moves the sum by the whole amount",
    edit: change(/ - .*/, ""),
    caughtBy: [
      {
        file: "proofs/simulation/test/model-redis.test.ts",
        title: "answers and holds what the scripts on a real server do, after any commands",
      },
    ],
  },
  {
    name: "takes what was acknowledged before for its own part, not what the reply says",
    edit: yields("found.map((_, d) => before?.own[d] ?? 0)"),
    caughtBy: [SIMULATION],
  },
  {
    name: "lets a reply lower what is known of others",
    edit: change(
      /Math\.max\(.*?, (othersOf.*)\);/,
      "$1; this.#counts.setOthers(this.#index, d, this.#shared[d] as number);",
    ),
    caughtBy: [SIMULATION],
  },
  {
    name: "looks at replies that it had given up on",
    edit: yields("exchange().then(then)"),
    caughtBy: [SIMULATION],
  },
  {
    name: "a circuit that never closes",
    edit: before("if (!wasOpen)"),
    caughtBy: [SIMULATION],
  },
  {
    name: "refuses to count while Redis is away",
    edit: before('if (!this.isHealthy()) throw new Error("Redis is away");'),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-outage.test.ts",
        title: "serve every request and count each exactly once when it %s",
      },
    ],
  },
  {
    name: "sends to Redis in the request path",
    edit: before("this.#counts.registered(this.period()).catch(() => {});"),
    caughtBy: [outages("is away, no call of the request path sends a command, answers a promise or fails")],
  },
  {
    name: "stores nothing while Redis is away",
    edit: change(/return .*;/, "return [];"),
    caughtBy: [outages("is away, nothing is sent to it, and tallies are stored all the same")],
  },
  {
    name: "fails to flush while Redis is away",
    edit: before("throw error;"),
    caughtBy: [contract("and stores what it counted itself while nothing passes")],
  },
  {
    name: "does not look again at what did not change here",
    edit: yields("false"),
    caughtBy: [
      contract("and comes back whole when all that was shared is lost"),
      outages(
        "fails over to a replica that lacked the last writes, no count is lost or doubled, and all soon agree again",
      ),
    ],
  },
  {
    name: "does not look at the mark of hydration",
    edit: change(/\([^()]*\bmark !== [^()]*\)/, "false"),
    caughtBy: [SIMULATION],
  },
  {
    name: "marks as hydrated without what the store knows",
    edit: yields("[]"),
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
    edit: change(/ && .*\) return/, ") return"),
    caughtBy: [SIMULATION],
  },
  {
    name: "trusts that others brought what the store knows",
    edit: yields("false"),
    caughtBy: [SIMULATION],
  },
  {
    name: "does not reconcile",
    edit: yields("[]"),
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
    edit: yields("[]"),
    caughtBy: [SIMULATION],
  },
  {
    name: "does not look again for what others had in a store that lost it",
    edit: drop,
    caughtBy: [
      contract(
        "and stores all that was shared anew in a store that has lost what it had, also what a killed instance counted",
      ),
    ],
  },
  {
    name: "reconciles only backends that it counts itself",
    edit: yields("[]"),
    caughtBy: [
      {
        file: "packages/counter-redis/test/exchange.test.ts",
        title: "store what an instance shared of backends that nobody else knows, when it did not live to do so",
      },
    ],
  },
  {
    name: "does not try what it will need of Redis",
    edit: drop,
    caughtBy: [rights("that are missing are named at the start, each, with the rule that gives it")],
  },
  {
    name: "keeps to itself what Redis refuses",
    edit: drop,
    caughtBy: [
      rights("that are withdrawn while a counter runs are told, and it goes on with what it may do"),
      WITHDRAWN,
    ],
  },
  {
    name: "takes a refusal for an outage",
    edit: yields("true"),
    caughtBy: [{ file: "packages/counter-redis/test/hydration.test.ts", title: "and cannot be shared is told %s" }],
  },
  {
    name: "passes over in silence what cannot be read",
    edit: drop,
    caughtBy: [
      {
        file: "packages/counter-redis/test/refused.test.ts",
        title: "is told once where nobody here has the backend, because it %s",
      },
    ],
  },
  {
    name: "gives up on all backends for the key of one",
    edit: yields("undefined"),
    caughtBy: [rights("that are missing for one backend's key hold up that backend only, and say so")],
  },
  {
    name: "does not say why Redis is away",
    edit: drop,
    caughtBy: [
      { file: "packages/counter-redis/test/causes.test.ts", title: "is told as soon as the client knows: $what" },
    ],
  },
  {
    name: "closes without sharing what is left",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-shutdown.test.ts",
        title: "shares what it cannot store, says what that is, and whoever comes later stores it",
      },
    ],
  },
  {
    name: "the model of Redis adds instead of keeping the maximum",
    edit: change(/amount\)/, "before + amount)"),
    caughtBy: [SIMULATION],
  },
];
