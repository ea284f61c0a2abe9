import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { manyTallies } from "./tallies.ts";

/** Arguments: the file, how many rounds of 300 backends, and writers, each of which opens a store of its own. */
const [path = "", rounds = "1", ...writers] = process.argv.slice(2);

async function mergeAs(writer: string): Promise<void> {
  await using store = await openSqliteStore(path);
  for (let round = 1; round <= Number(rounds); round++) await store.merge(manyTallies(300, writer, round));
}

await Promise.all(writers.map(mergeAs));
