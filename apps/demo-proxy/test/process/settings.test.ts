import { memoryStore, type UsageStore } from "@usage/counter-core";
import { expect, it, onTestFinished, vi } from "vitest";
import { Settings } from "../../src/process/settings.ts";
import { FakeClock } from "../support/fake-clock.ts";

it("a change by API that cannot be taken over is tried again until it is", async () => {
  const clock = new FakeClock(0);
  const store = memoryStore();
  const [mine, other] = [new Settings({ store, clock }), new Settings({ store, clock })];
  onTestFinished(() => mine.stop());
  await mine.load();
  const changed = vi.fn(async () => {});
  mine.watch({ changed, granted: async () => {} });
  const look = async (): Promise<number> => {
    clock.advance(2_000);
    await new Promise(setImmediate);
    return changed.mock.calls.length;
  };
  expect(await look()).toBe(0);
  await other.change({ subject: { kind: "backend", name: "oci" }, setting: "drained", value: true, before: undefined });
  changed.mockRejectedValueOnce(new Error("what clients used cannot be read"));
  expect(await look()).toBe(1);
  expect(await look()).toBe(2);
  expect(mine.isDrained("oci")).toBe(true);
  expect(await look()).toBe(2);
});

it("a grant of others is heard of while changes by API cannot be taken over, or are waited for", async () => {
  const clock = new FakeClock(0);
  const store = memoryStore();
  const [mine, other] = [new Settings({ store, clock }), new Settings({ store, clock })];
  onTestFinished(() => mine.stop());
  const [changed, granted] = [vi.fn(async () => {}), vi.fn(async () => {})];
  mine.watch({ changed, granted });
  const subject = { kind: "backend", name: "oci" } as const;
  const failures = [
    () => Promise.reject(new Error("what clients used cannot be read")),
    () => new Promise<void>(() => {}),
  ];
  for (const [index, failure] of failures.entries()) {
    changed.mockImplementationOnce(failure);
    await other.change({ subject, setting: "drained", value: true, before: undefined });
    await other.announceGrant();
    clock.advance(2_000);
    await new Promise(setImmediate);
    expect([changed.mock.calls.length, granted.mock.calls.length]).toEqual([index + 1, index + 1]);
  }
  // That something was granted is known by the last time: nobody reads all of them when it starts.
  expect((await store.changes?.())?.map(({ setting }) => setting)).toEqual(["drained", "drained", "grant"]);
});

it("what was changed is stored again where the store is replaced, and what is changed there is in force", async () => {
  const clock = new FakeClock(0);
  const opened = () =>
    memoryStore() as ReturnType<typeof memoryStore> & Required<Pick<UsageStore, "change" | "changes">>;
  let store = opened();
  const open = () => {
    const settings = new Settings({
      store: { change: (change) => store.change(change), changes: (query) => store.changes(query) },
      clock,
    });
    onTestFinished(() => settings.stop());
    return settings;
  };
  const [mine, other] = [open(), open()];
  const changed = vi.fn(async () => {});
  mine.watch({ changed, granted: async () => {} });
  const subject = { kind: "backend", name: "oci" } as const;
  const limitTo = (settings: Settings, apiRequests: number) =>
    settings.change({ subject, setting: "limits", value: { apiRequests }, before: undefined, by: "ada", reason: "r" });
  const known = async () => {
    clock.advance(2_000);
    await new Promise(setImmediate);
    const trails = await Promise.all([mine.trail(), other.trail()]);
    return trails.map((trail) => trail.map(({ revision, value, by, reason }) => ({ revision, value, by, reason })));
  };
  const signed = { by: "ada", reason: "r" };
  await limitTo(mine, 1);
  await limitTo(mine, 2);
  const before = [
    { revision: 2, value: { apiRequests: 2 }, ...signed },
    { revision: 1, value: { apiRequests: 1 }, ...signed },
  ];
  expect(await known()).toEqual([before, before]);
  store = opened();
  const again = [{ revision: 1, value: { apiRequests: 2 }, ...signed }];
  expect(await known()).toEqual([again, again]);
  const calls = changed.mock.calls.length;
  // Under a revision that was read of the one before.
  store = opened();
  expect(await limitTo(other, 3)).toMatchObject({ value: { apiRequests: 3 } });
  expect((await known()).map(([last]) => last)).toMatchObject([
    { value: { apiRequests: 3 } },
    { value: { apiRequests: 3 } },
  ]);
  expect(mine.of(subject, "limits")?.value).toEqual({ apiRequests: 3 });
  expect(changed).toHaveBeenCalledTimes(calls + 1);
});

it("an announced grant, in whose place another one comes, is taken for no other store", async () => {
  const clock = new FakeClock(0);
  const store = memoryStore();
  const onChange = vi.fn();
  const [mine, other] = [new Settings({ store, clock, onChange }), new Settings({ store, clock })];
  onTestFinished(() => mine.stop());
  const [changed, granted] = [vi.fn(async () => {}), vi.fn(async () => {})];
  mine.watch({ changed, granted });
  const calls = async () => {
    clock.advance(2_000);
    await new Promise(setImmediate);
    return [onChange, changed, granted].map(({ mock }) => mock.calls.length);
  };
  await other.announceGrant();
  expect(await calls()).toEqual([0, 0, 1]);
  await other.announceGrant();
  expect(await calls()).toEqual([0, 0, 2]);
  await other.change({ subject: { kind: "backend", name: "oci" }, setting: "drained", value: true, before: undefined });
  await other.announceGrant();
  expect(await calls()).toEqual([1, 1, 3]);
  await other.announceGrant();
  expect(await calls()).toEqual([1, 1, 4]);
  expect(await calls()).toEqual([1, 1, 4]);
});
