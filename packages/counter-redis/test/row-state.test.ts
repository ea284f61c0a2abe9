import { describe, expect, it } from "vitest";
import { exists, isDue, isRefused, next, type RowEvent, UNKNOWN, wantsRows } from "../src/replication/row-state.ts";

const replied = (there: boolean, isWhole: boolean): RowEvent => ({ kind: "replied", exists: there, isWhole });
const event = (kind: Exclude<RowEvent["kind"], "replied">): RowEvent => ({ kind });

/** What is known after these events, in words. */
function after(...events: readonly RowEvent[]): string {
  const state = events.reduce(next, UNKNOWN);
  const words = [
    isDue(state) && "due",
    exists(state) && "exists",
    isRefused(state) && "refused",
    wantsRows(state) && "wants rows",
  ];
  return words.filter((word) => word !== false).join(", ") || "at rest";
}

describe("what is known of a backend's shared counts", () => {
  it.each<readonly [string, readonly RowEvent[], string]>([
    ["nothing", [], "due"],
    ["nobody has counts there", [replied(false, false)], "at rest"],
    ["they are there, and whole", [replied(true, true)], "exists"],
    ["they are there, and may lack what the store has", [replied(true, false)], "exists, wants rows"],
    ["somebody changed them", [replied(true, true), event("changed")], "due, exists"],
    ["they may be lost", [replied(true, true), event("renewed")], "due"],
    ["they cannot be used", [event("refused")], "refused"],
    ["they cannot be used, whoever changes them", [event("refused"), event("changed")], "refused"],
    ["they could not be used, and are tried again", [event("refused"), event("retried")], "due, refused"],
    ["they can be used again", [event("refused"), event("retried"), replied(true, true)], "exists"],
    ["the store has more", [replied(true, true), event("lacking")], "exists, wants rows"],
    ["the store has more of what nobody shares", [replied(false, false), event("lacking")], "wants rows"],
    ["the store had more, before they are looked at", [event("lacking")], "due"],
    ["what the store had was brought", [replied(true, true), event("lacking"), event("brought")], "exists"],
    [
      "a loss keeps that the store has more",
      [event("lacking"), event("renewed"), replied(true, true)],
      "exists, wants rows",
    ],
  ])("%s", (_, events, expected) => {
    expect(after(...events)).toBe(expected);
  });
});
