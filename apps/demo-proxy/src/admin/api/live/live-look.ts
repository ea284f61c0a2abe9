import { inOnePeriod } from "../../in-one-period.ts";
import { listPieces } from "../../json-pieces.ts";
import type { Turns } from "../../turns.ts";
import type { Look } from "./events.ts";
import { type LiveBackend, type LiveParts, type LiveReport, liveBackends, liveHead } from "./live-report.ts";

/** What the averages and outlooks of a backend are told after, in looks, when nothing else of it changes: they move by themselves. */
const LOOKS_APART = 10;

/** What was found of all backends at once. The next look keeps the rows that stay as they are. */
export interface LiveLook extends Look {
  readonly rows: ReadonlyMap<string, Row>;
  /** The look that found other backends than the one before, or another order. */
  readonly listedBy: number;
}

/** The JSON of a {@link LiveBackend}, in two parts. */
interface Row {
  readonly own: string;
  /** What changes with time alone. */
  readonly ahead: string;
  /** The look that found it changed. */
  readonly by: number;
}

/** Looks at all backends, in turns and in one period. */
export function lookLive(parts: LiveParts, number: number, last?: LiveLook): Promise<LiveLook> {
  const { tracker, turns } = parts;
  return inOnePeriod(tracker.counter, async () => {
    const head = liveHead(parts);
    const rows = new Map<string, Row>();
    await turns.each(liveBackends(parts), (backend) => {
      rows.set(backend.name, rowOf(backend, number, last?.rows.get(backend.name)));
    });
    const listedBy = last !== undefined && isSameList(last.rows, rows) ? last.listedBy : number;
    return lookOf(turns, head, { number, rows, listedBy });
  });
}

/** Apart from what looks, so that it does not keep the look before, and with that all of them. */
function lookOf(turns: Turns, head: ReturnType<typeof liveHead>, found: Omit<LiveLook, "since">): LiveLook {
  return { ...found, since: (earlier) => turns.encode(pieces(head, found, earlier)) };
}

function rowOf({ averagePerSecond, outlook, ...rest }: LiveBackend, by: number, last?: Row): Row {
  const own = JSON.stringify(rest);
  const ahead = JSON.stringify({ averagePerSecond, outlook });
  const isSame = last?.own === own && (last.ahead === ahead || by - last.by < LOOKS_APART);
  return isSame ? last : { own, ahead, by };
}

function isSameList(one: ReadonlyMap<string, Row>, other: ReadonlyMap<string, Row>): boolean {
  const names = other.keys();
  return one.size === other.size && [...one.keys()].every((name) => name === names.next().value);
}

/** The JSON of a {@link LiveReport}. */
function pieces(
  head: ReturnType<typeof liveHead>,
  { rows, listedBy }: Omit<LiveLook, "since">,
  earlier: number,
): Generator<string> {
  const whole = earlier < listedBy;
  const report: Omit<LiveReport, "backends"> = { ...head, whole };
  return listPieces(report, "backends", changedRows(rows, whole ? 0 : earlier));
}

function* changedRows(rows: ReadonlyMap<string, Row>, earlier: number): Generator<string> {
  for (const { own, ahead, by } of rows.values()) {
    if (by > earlier) yield `${own.slice(0, -1)},${ahead.slice(1)}`;
  }
}
