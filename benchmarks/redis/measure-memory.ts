import { RedisCounterBackend } from "@usage/counter-redis";
import { Redis } from "ioredis";
import { answer } from "../child.ts";
import { IS_SHORT } from "../rounds.ts";
import { openClient } from "./clients.ts";
import { serverUse } from "./server-use.ts";
import { tenantNames, USAGE } from "./tenants.ts";
import { untilPushed } from "./until-pushed.ts";

/** What a backend takes of a server, when so many writers have counted it. */
export interface WritersUse {
  readonly writers: number;
  /** Bytes of memory, the backend's entry in the set of names included. */
  readonly memory: number;
  /** CPU time of a merge of one writer's tally, in microseconds, by round. */
  readonly mergeUs: number[];
}

const MERGES = IS_SHORT ? 1 : 9;

// Arguments: the server, the number of backends, and numbers of writers, the smaller ones first.
const [, , url = "", size = "", ...steps] = process.argv;
const names = tenantNames(Number(size));
const admin = new Redis(url);
await admin.flushall();
const connection = await openClient(url);
const empty = await serverUse(admin);
const uses: WritersUse[] = [];
let writers = 0;
for (const step of steps.map(Number)) {
  while (writers < step) {
    // Each is one run of an instance; that most of them are over makes no difference to the server.
    const counter = await RedisCounterBackend.connect({
      client: connection,
      backends: names,
    });
    await countAll(counter);
    writers++;
    if (writers === step) uses.push(await useOf(counter));
    await counter.close();
  }
}
for (const redis of [connection, admin]) redis.disconnect();
answer(uses);

async function useOf(counter: RedisCounterBackend): Promise<WritersUse> {
  const { memory } = await serverUse(admin);
  const mergeUs: number[] = [];
  for (let merge = 0; merge < MERGES; merge++) {
    const before = await serverUse(admin);
    await countAll(counter);
    mergeUs.push(((await serverUse(admin)).cpuUs - before.cpuUs) / names.length);
  }
  return { writers, memory: (memory - empty.memory) / names.length, mergeUs };
}

async function countAll(counter: RedisCounterBackend): Promise<void> {
  for (const name of names) counter.addAll(name, USAGE);
  await untilPushed(counter, names);
}
