import { memoryStore } from "@usage/counter-core";
import { expect, it } from "vitest";
import type { BookEntry } from "../../src/fleet/book.ts";
import { reportingStore } from "../../src/fleet/reporting-store.ts";
import { BACKEND, PERIOD } from "../support/writer.ts";

it("tells what is stored of a run in all its generations, and nothing of others or of what is rejected", async () => {
  const told: (readonly BookEntry[])[] = [];
  const store = reportingStore(memoryStore(), "w", async (entries) => void told.push(entries));
  const tally = (writer: string, apiRequests: number, backend = BACKEND) => ({
    writer,
    period: PERIOD,
    backend,
    usage: { apiRequests },
  });
  await store.merge([tally("w", 5), tally("other", 7)]);
  await store.merge([tally("w.1", 3), tally("w", Number.NaN, "wrong")]);
  await store.merge([tally("w", 4)]);
  await store.merge([tally("other", 9)]);
  const amounts = [5, 8, 8].map((amount) => [[PERIOD, BACKEND, "apiRequests", amount]]);
  expect(told).toEqual(amounts);
});
