import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { manyTallies } from "./tallies.ts";

/** Arguments: the file, how many rounds of 300 backends, and a writer, who repeats the last round until the store has lost what it had. */
const [path = "", rounds = "1", writer = ""] = process.argv.slice(2);

await using store = await openSqliteStore(path);
// Whoever started it may be gone.
const untilMs = Date.now() + 60_000;
for (let round = 1; round <= Number(rounds) || (store.losses?.() === 0 && Date.now() < untilMs); round++) {
  await store.merge(manyTallies(300, writer, Math.min(round, Number(rounds))));
}
