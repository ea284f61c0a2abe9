import { expect, it } from "vitest";
import { TenantRecord } from "../../src/account/tenant-record.ts";
import { WriterRecord } from "../../src/account/writer-record.ts";
import { Book } from "../../src/fleet/book.ts";
import { ownTenants } from "../../src/fleet/hot-names.ts";
import { PERIOD, STARTED_MS, step } from "../support/writer.ts";

const NAMED = { "p 0": {} };

it("counts who came, who came back, and what others stored of those that only a dead instance held", () => {
  const tenants = new TenantRecord();
  const tell = (writer: string, takenUp: readonly string[]) =>
    tenants.take(writer, { ...step(0, 0), view: NAMED, takenUp });
  tell("w", []);
  tell("w", ["p tenant 1"]);
  tell("v", ["p tenant 1"]);
  tell("w", ["p tenant 1", "p tenant 2"]);
  tell("w", ["p 0"]); // named at the start, and let go of by `release`

  const dead = new WriterRecord("w", STARTED_MS);
  const own = `${ownTenants("p", "w")}0`;
  dead.reconcile(
    Book.of([
      [PERIOD, own, "apiRequests", 1],
      [PERIOD, "p tenant 1", "apiRequests", 1],
    ]),
  );
  expect(tenants.counts("p", [dead])).toEqual({ came: 3, back: 2, inherited: 1 });
});
