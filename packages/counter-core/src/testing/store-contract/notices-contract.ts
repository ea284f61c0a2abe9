import { describe, expect, it } from "vitest";
import type { UsageStore } from "../../hops/usage-store.ts";
import type { Mark } from "../../model/mark.ts";
import type { Notice, NoticesQuery } from "../../model/notice.ts";
import { ODD_NAMES } from "../odd-names.ts";
import { PERIOD, tally } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

const CHANNEL = "default";
/** Longer than a test waits. */
const ONCE: NoticesQuery = { limit: 1_000, retryMs: { first: 600_000, max: 3_600_000 } };

/** A store with an outbox. */
type Telling = UsageStore & Required<Pick<UsageStore, "claim" | "notices" | "acknowledge">>;

function markOf(mark: string, body = `body of ${mark}`, channel = CHANNEL): Mark {
  return { period: PERIOD, backend: "oci", dimension: "apiRequests", mark, notice: { channel, body } };
}

function noticeOf({ notice, ...mark }: Mark, attempts = 1): Notice {
  return { ...mark, body: notice?.body ?? "", attempts };
}

/** What a store promises of notices, where it has `notices`. */
export function noticesContract(name: string, withStore: WithStore): void {
  const withNotices = (work: (store: Telling, reopen: () => Promise<Telling>) => Promise<void>) =>
    withStore(async (store, tested) => {
      if (!tells(store)) return;
      await work(store, async () => {
        const reopened = (await tested.reopen?.()) ?? store;
        if (!tells(reopened)) throw new Error("the store has no notices once it is opened again");
        return reopened;
      });
    });

  describe(`${name} keeps notices`, () => {
    it("gives what came with a new mark to who takes its channel, also after it was opened again", () =>
      withNotices(async (store, reopen) => {
        const [first, second] = [markOf("first"), markOf("second")];
        const ofNobody: Mark = { period: PERIOD, mark: "of nobody", notice: { channel: "other", body: "x" } };
        expect(await store.claim([first, { period: PERIOD, mark: "silent" }, ofNobody])).toHaveLength(3);
        expect(await store.claim([second])).toEqual([second]);
        const reopened = await reopen();
        expect(await reopened.notices("nobody's", ONCE)).toEqual([]);
        expect(await reopened.notices(CHANNEL, ONCE)).toEqual([noticeOf(first), noticeOf(second)]);
        expect(await reopened.notices("other", ONCE)).toEqual([noticeOf(ofNobody)]);
        expect(await reopened.notices(CHANNEL, ONCE)).toEqual([]);
      }));

    it("keeps the notice of who was told that the mark is new, and no other", () =>
      withNotices(async (store) => {
        const first = markOf("a", "first");
        expect(await store.claim([first, markOf("a", "same claim")])).toEqual([first]);
        expect(await store.claim([markOf("a", "later"), markOf("a", "elsewhere", "other")])).toEqual([]);
        expect(await store.claim([{ period: PERIOD, mark: "b" }])).toHaveLength(1);
        expect(await store.claim([{ period: PERIOD, mark: "b", notice: { channel: CHANNEL, body: "late" } }])).toEqual(
          [],
        );
        expect(await store.notices(CHANNEL, ONCE)).toEqual([noticeOf(first)]);
        expect(await store.notices("other", ONCE)).toEqual([]);
      }));

    it("gives a notice again, after a pause that grows, until it is acknowledged", () =>
      withNotices(async (store) => {
        const query = { limit: 10, retryMs: { first: 60, max: 150 } };
        const mark = markOf("a");
        await store.claim([mark, markOf("delivered")]);
        expect(await store.notices(CHANNEL, query)).toHaveLength(2);
        await store.acknowledge([noticeOf(markOf("delivered"))]);
        // After the second attempt 120 ms, after the third not 240.
        for (const [attempts, pauseMs] of [
          [2, 60],
          [3, 120],
          [4, 150],
        ] as const) {
          const since = performance.now();
          const again: Notice[] = [];
          await expect
            .poll(async () => again.push(...(await store.notices(CHANNEL, query))), { timeout: 10_000, interval: 5 })
            .toBe(1);
          // The statement before may have run a little before its answer came.
          expect(performance.now() - since).toBeGreaterThan(pauseMs / 2);
          expect(again).toEqual([noticeOf(mark, attempts)]);
        }
        await store.acknowledge([noticeOf(mark)]);
        await new Promise((resolve) => setTimeout(resolve, 300));
        expect(await store.notices(CHANNEL, query)).toEqual([]);
        // What is delivered is claimed.
        expect(await store.claim([mark, markOf("delivered")])).toEqual([]);
        expect(await store.notices(CHANNEL, query)).toEqual([]);
      }));

    it("gives each notice to one of many who take at once, and no more than were asked for", () =>
      withNotices(async (store) => {
        const marks = Array.from({ length: 200 }, (_, index) => markOf(`${index}`));
        await store.claim(marks);
        const query = { ...ONCE, limit: 7 };
        const taken: Notice[] = [];
        for (let rounds = 0; rounds < 10; rounds++) {
          const batches = await Promise.all(Array.from({ length: 5 }, () => store.notices(CHANNEL, query)));
          for (const batch of batches) expect(batch.length).toBeLessThanOrEqual(7);
          taken.push(...batches.flat());
        }
        expect(taken.map(({ mark }) => mark).sort()).toEqual(marks.map(({ mark }) => mark).sort());
      }));

    it("keeps thousands of notices, and odd ones, and acknowledges them at once and again", () =>
      withNotices(async (store) => {
        const odd = ODD_NAMES.map((name) => ({ ...markOf(name, `${name}\n\t"\\`), backend: name }));
        const long = markOf("long", "🪣".repeat(32_768));
        const marks = [...Array.from({ length: 2_500 }, (_, index) => markOf(`${index}`)), ...odd, long];
        expect(await store.claim(marks)).toEqual(marks);
        const taken: Notice[] = [];
        for (let batch = await store.notices(CHANNEL, ONCE); batch.length > 0; ) {
          taken.push(...batch);
          batch = await store.notices(CHANNEL, ONCE);
        }
        const keyOf = ({ backend, mark }: Notice): string => `${backend} ${mark}`;
        const sorted = (notices: readonly Notice[]) => Map.groupBy(notices, keyOf);
        expect(sorted(taken)).toEqual(sorted(marks.map((mark) => noticeOf(mark))));
        await store.acknowledge([]);
        await store.acknowledge(taken);
        await store.acknowledge([...taken, noticeOf(markOf("unknown")), noticeOf(markOf("0"))]);
        expect(await store.notices(CHANNEL, ONCE)).toEqual([]);
      }));

    it("refuses what is no notice, no channel and no time, and claims and takes nothing then", () =>
      withNotices(async (store) => {
        const good = markOf("a");
        for (const wrong of ["", "a\nb", "\ud800", "x".repeat(257), 5, null]) {
          const text = wrong as string;
          await expect(store.claim([good, markOf("b", "x", text)])).rejects.toThrow("a mark's channel");
          await expect(store.notices(text, ONCE)).rejects.toThrow("channel must be");
        }
        for (const wrong of ["", "\0", "\ud800", "x".repeat(65_537), 5, null]) {
          await expect(store.claim([good, markOf("b", wrong as string)])).rejects.toThrow("body of a mark's notice");
        }
        expect(await store.claim([good])).toEqual([good]);
        for (const limit of [0, -1, 1.5, 1_001, Number.NaN, "1" as unknown as number]) {
          await expect(store.notices(CHANNEL, { ...ONCE, limit })).rejects.toThrow("limit must be");
        }
        for (const retryMs of [
          { first: 0, max: 1 },
          { first: 2, max: 1 },
          { first: 1, max: 2 ** 31 },
          { first: Number.NaN, max: 1 },
        ]) {
          await expect(store.notices(CHANNEL, { limit: 1, retryMs })).rejects.toThrow("retryMs");
        }
        expect(await store.notices(CHANNEL, ONCE)).toEqual([noticeOf(good)]);
      }));

    it("removes a backend's notices with its marks, and keeps them where a period is folded", () =>
      withNotices(async (store) => {
        const kept = { ...markOf("kept"), period: "2020-01", backend: "b2" };
        await store.claim([markOf("a"), kept]);
        await store.remove("oci");
        await store.merge([{ ...tally("w", "b2", { apiRequests: 5 }), period: "2020-01" }]);
        expect(await store.fold("2020-03")).toEqual(["2020-01"]);
        expect(await store.notices(CHANNEL, ONCE)).toEqual([noticeOf(kept)]);
      }));
  });
}

function tells(store: UsageStore): store is Telling {
  return store.claim !== undefined && store.notices !== undefined && store.acknowledge !== undefined;
}
