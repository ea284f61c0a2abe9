import { startRedis } from "@usage/test-servers";
import { Redis } from "ioredis";
import { readFileSync } from "node:fs";
const server = await startRedis();
const c = new Redis(server.url);
const W = "018f0000-0000-7000-8000-000000000001";
const dims = ["apiRequests","egressBytes","ingressBytes"];
const run = async (file: string, h: string, exp: string, prefix: string, same = false) => {
  const sha = await c.script("LOAD", readFileSync(file, "utf8")) as string;
  const res: number[] = [];
  for (let r = 1; r <= 30; r++) {
    const t = process.hrtime.bigint();
    for (let b = 0; b < 20; b++) {
      const keys: string[] = []; const args: (string|number)[] = [exp, 3, ...dims];
      for (let k = 0; k < 100; k++) { keys.push(`${prefix}:{b${b*100+k}}`); args.push(W, h, 3); for (const d of dims) args.push(`${W}/${d}`, (same ? 1 : r) * 1000 + k); }
      const x = await c.call("EVALSHA", [sha, keys.length, ...keys, ...args]) as unknown[];
      if (x.length !== 1000) throw new Error("?" + x.length);
    }
    res.push(Number(process.hrtime.bigint() - t) / 1e3 / 2000);
  }
  res.sort((a,b)=>a-b);
  return res[15]!.toFixed(2);
};
for (let i = 0; i < 3; i++) console.log("mine", await run("/tmp/luacmp/merge.lua", "", "86400000", "m"+i), "unchanged", await run("/tmp/luacmp/merge.lua", "", "86400000", "u"+i, true), "h9", await run("/tmp/luacmp/h9-merge.lua", "0", String(Date.now()+86400000), "h"+i), "us/key changed");
const info = await c.info("commandstats"); console.log(info.split("\n").filter(l=>/evalsha|hmget|hset/.test(l)).join("\n"));
c.disconnect(); await server.stop();
