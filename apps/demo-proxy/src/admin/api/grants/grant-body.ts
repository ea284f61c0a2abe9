import { z } from "zod";
import { CLIENT_WINDOWS } from "../../../clients/client-windows.ts";
import { expected, named, section, unknownKey, wholeNumber } from "../../../config/schema/expected.ts";
import { size } from "../../../config/schema/values.ts";

const someRequests = wholeNumber("requests", 1, Number.MAX_SAFE_INTEGER);
const someBytes = size.refine((bytes) => bytes > 0, expected("more than 0 bytes"));

const amounts = section({
  apiRequests: someRequests.optional(),
  egressBytes: someBytes.optional(),
  ingressBytes: someBytes.optional(),
  // Which others are counted, the configuration says.
}).catchall(wholeNumber("units", 1, Number.MAX_SAFE_INTEGER));

const grant = {
  id: words("an id of your own, by which it is granted once", 256),
  amounts: named(
    amounts.refine((given) => Object.values(given).some((amount) => amount !== undefined), {
      error: "expected one amount or more, got none",
    }),
  ),
  reason: words("a reason", 1_000),
  by: words("who grants it", 256).optional(),
  period: words("the current period, such as 2026-01", 256).optional(),
};

/** What `POST /api/backends/:name/grants` takes. */
export const grantBody = section(grant);

const window = z.enum(CLIENT_WINDOWS, expected(`one of ${CLIENT_WINDOWS.join(", ")}`)).optional();

/** The same of clients, in one of their windows. */
export const clientGrantBody = section({ ...grant, window });

export type GrantBody = z.output<typeof grantBody>;

/** What is wrong with a body, field by field. */
export function troubleOf({ issues }: z.core.$ZodError): string {
  return issues.flatMap(troublesOf).join("; ");
}

function troublesOf({ path, message, ...issue }: z.core.$ZodIssue): readonly string[] {
  const at = (names: readonly PropertyKey[]): string => names.map(String).join(".");
  if (issue.code !== "unrecognized_keys") return [`${at(path) || "the body"}: ${message}`];
  return issue.keys.map((key) => `${at([...path, key])}: ${unknownKey(key, message)}`);
}

/** As stores take it. */
export function words(what: string, longest: number) {
  const wanted = expected(`${what}: 1 to ${longest} characters of text on one line`);
  return z
    .string(wanted)
    .min(1, wanted)
    .max(longest, wanted)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), wanted);
}
