import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

/** What one key of a `merge.lua` call is sent: the header's words. */
export interface Sent {
  readonly key: string;
  readonly writer?: string;
  readonly mark?: string;
  readonly fields?: Readonly<Record<string, string | number>>;
}

/** What `merge.lua` answers for one key. */
export interface Answered {
  readonly mark: string;
  readonly sum: readonly number[];
  readonly own: readonly number[];
  readonly taken: readonly number[];
}

export const DIMENSIONS = ["requests", "bytes"];
export const MERGE: string = sourceOf("merge.lua");
export const SWAP: string = sourceOf("swap.lua");

const TTL_MS = 3_600_000;

/** The arguments as the header of `merge.lua` lists them. */
export function mergeArguments(
  sent: readonly Sent[],
  { ttl = TTL_MS, dimensions = DIMENSIONS }: { readonly ttl?: number; readonly dimensions?: readonly string[] } = {},
): (string | number)[] {
  return [
    ttl,
    dimensions.length,
    ...dimensions,
    ...sent.flatMap(({ writer = "w", mark = "", fields = {} }) => {
      const pairs = Object.entries(fields);
      return [writer, mark, pairs.length, ...pairs.flat()];
    }),
  ];
}

/** Runs `merge.lua` by its header, and not by the code that calls it. */
export async function merge(client: Redis, sent: readonly Sent[], options: { ttl?: number } = {}): Promise<Answered[]> {
  const keys = sent.map(({ key }) => key);
  const reply = (await client.eval(MERGE, keys.length, ...keys, ...mergeArguments(sent, options))) as unknown[];
  const width = 1 + 3 * DIMENSIONS.length;
  if (reply.length !== width * sent.length) throw new Error(`merge.lua answered ${reply.length} values`);
  return sent.map((_, k) => {
    const numbers = reply.slice(k * width + 1, (k + 1) * width).map(Number);
    const column = (first: number): readonly number[] => DIMENSIONS.map((_, d) => numbers[3 * d + first] ?? Number.NaN);
    return { mark: String(reply[k * width]), sum: column(0), own: column(1), taken: column(2) };
  });
}

export async function swap(client: Redis, key: string, dimension: string): Promise<readonly number[]> {
  return ((await client.eval(SWAP, 1, key, dimension)) as unknown[]).map(Number);
}

/** All that a key holds, whatever it is: to see that nothing of it was touched. */
export async function held(client: Redis, key: string): Promise<unknown> {
  if ((await client.type(key)) !== "hash") return client.dump(key);
  return Object.fromEntries(Object.entries(await client.hgetall(key)).sort());
}

function sourceOf(file: string): string {
  return readFileSync(new URL(`../../lua/${file}`, import.meta.url), "utf8");
}
