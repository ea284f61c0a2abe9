import { memoryStore } from "@usage/counter-core";
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
