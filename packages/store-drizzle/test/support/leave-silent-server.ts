import { once } from "node:events";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { manyTallies } from "./tallies.ts";

/** Argument: the url. Says that it is connected; once it is told that the server is silent, fails to merge, closes, and ends. */
const [url = ""] = process.argv.slice(2);

const store = await openPostgresStore(url, { timeoutMs: 500 });
console.log("connected");
await once(process.stdin, "data");
process.stdin.destroy();
const outcome = await store.merge(manyTallies(1)).catch((error: unknown) => error);
console.log(String(outcome));
await store.close();
