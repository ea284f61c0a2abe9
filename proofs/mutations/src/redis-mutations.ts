import { before, change, drop, instead, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { exactSchedule, FLEET_KILL, MODEL, OUTAGES, SIMULATION, schedule } from "./named-tests.ts";

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

/** Of the scripts: what is in Redis, and what each reply says of it. */
const SCRIPT_MUTATIONS: readonly Mutation[] = [
  {
    name: "the script adds instead of keeping the maximum",
    edit: yields("tally[place] + amount"),
    caughtBy: [
      {
        file: "packages/counter-redis/test/merge-laws.test.ts",
        title: "holds the maximum of each field and, of each dimension, the sum over its writers",
      },
    ],
  },
  {
    name: "the script keeps what came last",
    edit: change(/^if amount > /, "if amount ~= "),
    caughtBy: [MODEL],
  },
  { name: "the script moves the sum by the whole amount", edit: change(/ - .*/, ""), caughtBy: [MODEL] },
  {
    name: "a reply tells the own part from before the merge",
    edit: change(/item\.tallies\[1\]\[place\]/, "own_grew and 0 or item.tallies[1][place]"),
    caughtBy: [MODEL],
  },
  { name: "an epoch does not name the server's run", edit: change(/ or found\[2\] ~= run/, ""), caughtBy: [MODEL] },
  {
    name: "a run is the process alone, whatever data it has",
    edit: instead("return id or ''"),
    caughtBy: [
      {
        file: "packages/counter-redis/test/failback.test.ts",
        title: "all that was shared comes back, though nothing is counted any more",
      },
    ],
  },
  {
    name: "a bucket that lost its names goes on in its epoch",
    edit: change(/not has_changes or /, ""),
    caughtBy: [MODEL],
  },
  { name: "a hash that is missing does not begin the bucket anew", edit: drop, caughtBy: [MODEL] },
  { name: "the name of what is gone stays", edit: drop, caughtBy: [MODEL] },
  { name: "where the epoch was lost, what is owed is taken for stored", edit: drop, caughtBy: [MODEL] },
  {
    name: "a new epoch forgets who owes what",
    edit: before("redis.call('DEL', epoch)"),
    caughtBy: [MODEL],
  },
  { name: "a new epoch counts versions from zero", edit: yields("0"), caughtBy: [MODEL] },
  {
    name: "a mark is set whatever epoch the rows were read in",
    edit: change(/ and item\.mark == at\.id/, ""),
    caughtBy: [MODEL],
  },
  { name: "what nobody knew of any more is owed by nobody", edit: drop, caughtBy: [MODEL] },
  { name: "a report of what is stored does not name its epoch", edit: drop, caughtBy: [MODEL] },
  { name: "whoever asks who owes passes over a bucket that lost its epoch", edit: drop, caughtBy: [MODEL] },
];

/** Of what an instance takes from replies, and of what it sends. */
const EXCHANGE_MUTATIONS: readonly Mutation[] = [
  {
    name: "takes what it shared before for its own part, not what the reply says",
    edit: change(/own\[place\] as number/, "this.hop.of(cells).confirmed[row * own.length + place] as number"),
    caughtBy: [SIMULATION],
  },
  {
    name: "lets a reply lower what is known of others",
    edit: instead("cells.setOthers(this.#index, cell, amount);"),
    caughtBy: [SIMULATION],
  },
  {
    name: "passes over more of its own than it knows of",
    edit: instead("return;"),
    caughtBy: [schedule("in which both lose a backend that is taken up again, and late rows bring it back")],
  },
  {
    name: "looks at replies that it had given up on",
    edit: (statement) =>
      `const late = call(one); void late.then((reply) => then(one, reply), () => {}); ${change(/call\(one\)/, "late")(statement)}`,
    caughtBy: [
      schedule("in which a reply comes that was given up on, right when it is known that something has changed"),
    ],
  },
  {
    name: "after a merge of one's own the cursor moves past what others changed",
    edit: change(/ && reply\.before === bucket\.cursor/, ""),
    caughtBy: [SIMULATION],
  },
  {
    name: "a new epoch does not make the rows of the bucket be pushed again",
    edit: drop,
    caughtBy: [SIMULATION],
  },
  {
    name: "nobody looks whether single hashes are still there",
    edit: change(/found !== expected/, "false"),
    caughtBy: [schedule("in which the counts of one backend are evicted, and nobody counts in it any more")],
  },
  { name: "shares the current period only", edit: change(/\.all\(\)/, ".all().slice(-1)"), caughtBy: [SIMULATION] },
];

/** Of backends that come, go and come back. */
const OPEN_MUTATIONS: readonly Mutation[] = [
  {
    name: "lets go of what is not shared",
    edit: instead("return true;"),
    caughtBy: [schedule("in which the store loses what was let go of")],
  },
  {
    name: "takes up at zero what it had counted",
    edit: drop,
    caughtBy: [
      {
        file: "packages/counter-core/test/open-schedules.test.ts",
        title: "lose and double nothing in random schedules (discarded now and then: %s)",
      },
    ],
  },
  {
    name: "goes on under its name from what one replica alone knows",
    edit: change(/ && /, " || "),
    caughtBy: [schedule("in which a backend is taken up again while Redis is away and the store lost a part of it")],
  },
  {
    name: "asks Redis alone for what is to be held",
    edit: change(/read\(shared\.cells\.period\.key, names\)/, "Promise.resolve([])"),
    caughtBy: [SIMULATION],
  },
  {
    name: "trusts what it was told before it held a backend",
    edit: drop,
    caughtBy: [schedule("in which others count while the store tells what it has of a backend that is to be held")],
  },
];

/** Of what the store has and Redis lacks. */
const HYDRATION_MUTATIONS: readonly Mutation[] = [
  {
    name: "a mark is set without the store's rows",
    edit: yields("[]"),
    caughtBy: [
      SIMULATION,
      exactSchedule("is not passed by what a dead instance used and stored, where Redis has lost it"),
      OUTAGES,
      contract("and has what a killed instance had stored before all that was shared was lost"),
    ],
  },
  {
    name: "a mark is set with the first part of the rows",
    edit: change(/isLast && \{ mark: epoch \}/, "{ mark: epoch }"),
    caughtBy: [schedule("in which what the store has is brought in parts, and part %i gets lost")],
  },
  {
    name: "goes on with the next part though the last one was not answered",
    edit: change(/;$/, ".catch(() => {});"),
    caughtBy: [schedule("in which what the store has is brought in parts, and part %i gets lost")],
  },
  {
    name: "trusts that others brought what the store knows",
    edit: change(/ > \(others/, " > Number.MAX_VALUE + (others"),
    caughtBy: [
      schedule("in which somebody has stored what Redis never heard of, and is dead: who learns of it tells Redis"),
    ],
  },
];

/** Of what Redis has and the store lacks. */
const OWING_MUTATIONS: readonly Mutation[] = [
  {
    name: "each flush looks for itself for what others owe",
    edit: change(/\?\?=/, "="),
    caughtBy: [
      {
        file: "packages/counter-redis/test/reconciliation.test.ts",
        title: "is looked for once at a time, also when flushes that are given up follow each other",
      },
    ],
  },
  {
    name: "nobody looks at what dead runs owe",
    edit: change(/^if \(.*\) (?=late)/, "if (false) "),
    caughtBy: [
      SIMULATION,
      FLEET_KILL,
      {
        file: "apps/demo-proxy/test/main-redis.test.ts",
        title: "has what it shared stored by another one, at its second flush",
      },
      {
        file: "apps/demo-proxy/test/main-redis.test.ts",
        title:
          "has what it shared of its clients stored by another one: of each at most what it was answered, and all that was shared",
      },
      {
        file: "packages/counter-redis/test/exchange.test.ts",
        title: "store what an instance shared of backends that nobody else knows, when it did not live to do so",
      },
    ],
  },
  { name: "looks only at what is owed in the current period", edit: instead("return looked;"), caughtBy: [SIMULATION] },
  {
    name: "what a dead run owes is sought from its last push on",
    edit: change(/owed\.since/, "owed.last"),
    caughtBy: [SIMULATION],
  },
  {
    name: "a flush reports what was pushed while it was under way",
    edit: change(/run, version, done \}/, "run, version: bucket.seen, done }"),
    caughtBy: [schedule("in which a flush stores what is pushed while it is under way")],
  },
  {
    name: "reports as stored what the store refused",
    edit: yields("new Set<string>()"),
    caughtBy: [schedule("in which the store refuses a part of what an instance owes, until it is dead")],
  },
  {
    name: "reports as stored what was found and the store refused",
    edit: change(/ && tallies\.every\(.*?\)\)\)/, ""),
    caughtBy: [schedule("in which the store refuses a part of what was found of a dead instance")],
  },
  {
    name: "does not look again for what others had in a store that lost it",
    edit: drop,
    caughtBy: [schedule("in which the store loses what a dead instance had stored")],
  },
];

/** Of a Redis that is away, or refuses. */
const OUTAGE_MUTATIONS: readonly Mutation[] = [
  { name: "a circuit that never closes", edit: before("if (!wasOpen)"), caughtBy: [SIMULATION] },
  {
    name: "a flush that asks a node that hangs holds up the counts of all",
    edit: change(/eachInTime\((.*?),?\s*\);$/s, "each($1, 64);"),
    caughtBy: [
      {
        file: "packages/counter-redis/test/cluster.test.ts",
        title: "flushes that wait for a node that hangs hold up nobody's counts",
      },
    ],
  },
  {
    name: "takes one node of a cluster for all of them",
    edit: change(/isDivided \? buckets : /, ""),
    caughtBy: [
      {
        file: "packages/counter-redis/test/cluster.test.ts",
        title: "nodes that answer again after all were away share their backends, whichever one stays away",
      },
    ],
  },
  {
    name: "refuses to count while Redis is away",
    edit: before('if ((this as { isHealthy?(): boolean }).isHealthy?.() === false) throw new Error("Redis is away");'),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-outage.test.ts",
        title: "serve every request and count each exactly once when it %s",
      },
    ],
  },
  {
    name: "sends to Redis in the request path",
    edit: before("this.#sharing.counts.versions([{ period: this.period(), number: 0 }]).catch(() => {});"),
    caughtBy: [outages("is away, no call of the request path sends a command, answers a promise or fails")],
  },
  {
    name: "stores nothing while Redis is away",
    edit: before("if (!this.#sharing.isSharing) return [];"),
    caughtBy: [outages("is away, nothing is sent to it, and tallies are stored all the same")],
  },
  {
    name: "fails to flush while Redis is away",
    edit: (statement) => `${statement} if (failure !== undefined) throw (failure as { error: unknown }).error;`,
    caughtBy: [contract("and stores what it counted itself while nothing passes")],
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
];

/** Of the model of Redis: the simulation notices what it is there to notice. */
const MODEL_MUTATIONS: readonly Mutation[] = [
  {
    name: "the model of Redis adds instead of keeping the maximum",
    edit: change(/amount\)/, "(known?.get(name) ?? 0) + amount)"),
    caughtBy: [SIMULATION],
  },
  {
    name: "the model of Redis restarts under the same run",
    edit: drop,
    caughtBy: [SIMULATION, exactSchedule("is not passed where Redis restarts from before a slice was granted")],
  },
];

export const REDIS_MUTATIONS: readonly Mutation[] = [
  ...SCRIPT_MUTATIONS,
  ...EXCHANGE_MUTATIONS,
  ...OPEN_MUTATIONS,
  ...HYDRATION_MUTATIONS,
  ...OWING_MUTATIONS,
  ...OUTAGE_MUTATIONS,
  ...MODEL_MUTATIONS,
];
