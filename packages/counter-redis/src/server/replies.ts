import type { Tally } from "@usage/counter-core";
import { isDimensionName } from "@usage/counter-core/internal";
import { RefusedCountsError } from "./errors.ts";
import type { MergedItem, MergeReply, Pair, ReadReply } from "./shared-counts.ts";

const AMOUNT = /^\d{1,16}$/;
const REFUSED = "USAGE_REFUSED ";
/** What `merge` says of a hash where anybody ever held anything. */
const HAS_SLICES = 2;
const IS_RIPE = 3;

/** What the script `merge` returns, of the first `wanted` of the dimensions that were sent. */
export function mergeReplyOf(
  reply: readonly unknown[],
  hashes: readonly string[],
  sent: number,
  wanted: number,
): MergeReply {
  let at = 3;
  const items = hashes.map((key): MergedItem | Error => {
    const first = reply[at++];
    if (typeof first === "string" && first.startsWith(REFUSED)) {
      return new RefusedCountsError(key, first.slice(REFUSED.length));
    }
    const kind = Number(first);
    const isWhole = Number(reply[at++]) === 1;
    const width = kind >= HAS_SLICES ? 8 : 2;
    const list = <T>(of: (start: number) => T): T[] => Array.from({ length: wanted }, (_, d) => of(at + width * d));
    const counts = {
      exists: kind > 0,
      isWhole,
      sums: list((start) => Number(reply[start])),
      own: list((start) => Number(reply[start + 1])),
    };
    const slices = kind >= HAS_SLICES && {
      isRipe: kind === IS_RIPE,
      held: list((start) => Number(reply[start + 2])),
      forgiven: list((start) => Number(reply[start + 3])),
      pairs: list((start): Pair => {
        const [granted, returned, forgiven] = reply.slice(start + 4, start + 7).map(Number) as [number, number, number];
        return { granted, returned, forgiven };
      }),
      hungry: list((start) => Number(reply[start + 7])),
    };
    at += width * sent;
    return slices ? { ...counts, slices } : counts;
  });
  return { epoch: String(reply[0]), before: Number(reply[1]), after: Number(reply[2]), items };
}

/** What a hash holds. What is no count is named; all others are what is wanted. */
export function readReplyOf(hash: unknown, key: string, period: string, backend: string): ReadReply {
  const fields = fieldsOf(hash);
  const dimensions = fields.get(":d")?.split(" ") ?? [];
  const tallies: Tally[] = [];
  let spoilt: string | undefined;
  for (const [field, value] of fields) {
    if (!field.startsWith("/")) continue;
    const usage: Record<string, number> = {};
    value.split(" ").forEach((text, d) => {
      const name = dimensions[d] ?? "";
      const amount = AMOUNT.test(text) ? Number(text) : Number.NaN;
      if (!isDimensionName(name)) spoilt ??= ":d";
      else if (!Number.isSafeInteger(amount)) spoilt ??= field;
      else if (amount > 0) usage[name] = amount;
    });
    if (Object.keys(usage).length > 0) tallies.push({ writer: field.slice(1), period, backend, usage });
  }
  if (spoilt === undefined) return { tallies };
  return { tallies, error: new RefusedCountsError(key, `it holds no counts in the field ${spoilt}`) };
}

/** Empty where there is nothing. */
export function textOf(reply: unknown): string {
  return reply === null ? "" : String(reply);
}

/** A client may return a hash as an object, as a map, or as a list. */
function fieldsOf(hash: unknown): ReadonlyMap<string, string> {
  if (hash instanceof Map) return new Map(Array.from(hash, ([field, value]) => [String(field), String(value)]));
  if (!Array.isArray(hash))
    return new Map(Object.entries(hash as object).map(([field, value]) => [field, String(value)]));
  return new Map(Array.from({ length: hash.length / 2 }, (_, i) => [String(hash[2 * i]), String(hash[2 * i + 1])]));
}
