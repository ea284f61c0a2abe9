import { expect, it } from "vitest";
import { grantLog } from "../../src/log/grant-log.ts";
import { recordedLog } from "../support/recorded-log.ts";

it("what was granted is a line, with who granted it where somebody says so", () => {
  const { log, lines } = recordedLog();
  const grant = { backend: "oci", period: "2026-11", id: "ticket-4711", reason: "our outage" };
  const amounts = { apiRequests: 5_000, egressBytes: 1_024 };
  const granted = grantLog(log);
  granted({ ...grant, amounts, by: "ada" });
  granted({ ...grant, amounts: { apiRequests: 1 } });
  expect(lines).toMatchObject([
    {
      level: "info",
      event: "grant",
      ...grant,
      amounts,
      by: "ada",
      msg: 'granted to "oci" in 2026-11 by ada: apiRequests 5000, egressBytes 1024; our outage (ticket-4711)',
    },
    { msg: 'granted to "oci" in 2026-11: apiRequests 1; our outage (ticket-4711)' },
  ]);
});
