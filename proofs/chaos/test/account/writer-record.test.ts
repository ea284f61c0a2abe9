import { describe, expect, it } from "vitest";
import { WriterRecord } from "../../src/account/writer-record.ts";
import { Book } from "../../src/fleet/book.ts";
import { amount, STARTED_MS, step } from "../support/writer.ts";

describe("the record of a writer", () => {
  it("bounds what was recorded and shared by its reports", () => {
    const record = new WriterRecord("w", STARTED_MS);
    record.take(step(10, 0));
    expect([record.planned, record.atLeastRecorded(), record.pushed()].map((book) => book.entries())).toEqual([
      amount(10).entries(),
      [],
      [],
    ]);
    record.take(step(3, 4));
    expect([record.planned, record.atLeastRecorded(), record.pushed()].map((book) => book.entries())).toEqual([
      amount(13).entries(),
      amount(10).entries(),
      amount(6).entries(),
    ]);
  });

  it("keeps what was shared of a period when the next one begins, and drops a step that the change kept out", () => {
    const record = new WriterRecord("w", STARTED_MS);
    record.take(step(10, 0));
    record.take(step(3, 4));
    record.take(step(5, 0, { period: "2026-02", isLastRecorded: false }));
    expect(record.planned.entries()).toEqual(Book.sumOf([amount(10), amount(5, "2026-02")]).entries());
    expect(record.pushed().entries()).toEqual(amount(6).entries());
    record.take(step(1, 0, { period: "2026-02" }));
    expect(record.pushed().entries()).toEqual(Book.sumOf([amount(6), amount(5, "2026-02")]).entries());
  });

  it("keeps what others stored of it after its death", () => {
    const record = new WriterRecord("w", STARTED_MS);
    record.take(step(10, 0));
    record.takeStored(amount(4).entries());
    record.reconcile(amount(10));
    record.reconcile(amount(10));
    expect(record.inherited.entries()).toEqual(amount(6).entries());
  });

  it("keeps the most that was confirmed as stored", () => {
    const record = new WriterRecord("w", STARTED_MS);
    for (const stored of [4, 2]) record.takeStored(amount(stored).entries());
    expect(record.stored.entries()).toEqual(amount(4).entries());
  });
});
