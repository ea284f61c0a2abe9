import { z } from "zod";
import { placeholderIn, placeholderText, refusePlaceholders } from "../placeholder.ts";
import type { WebhookConfig } from "../proxy-config.ts";
import { expected, section, shown, text } from "./expected.ts";
import { part } from "./values.ts";

const MOST_THRESHOLDS = 100;
const aList = expected(`a list of up to ${MOST_THRESHOLDS} parts of a limit, such as [0.5, 0.8, 1]`);
/** Parts of a limit, each once, in ascending order. */
export const thresholds = z
  .array(part, aList)
  .max(MOST_THRESHOLDS, aList)
  .transform((parts): readonly number[] => [...new Set(parts)].sort((a, b) => a - b));

const LONGEST_NAME = 100;
const aName = `1 to ${LONGEST_NAME} characters without control characters`;
const name = text(aName, (value) => {
  if (!isName(value)) throw new TypeError("no name");
  return value;
});

function isName(value: string): boolean {
  return value.length > 0 && value.length <= LONGEST_NAME && value.isWellFormed() && !/\p{Cc}/u.test(value);
}

const url = text(
  "an address such as https://hooks.example.com/usage",
  (value) => {
    refusePlaceholders(value);
    const url = new URL(value);
    if (url.protocol !== "http:" && url.protocol !== "https:") throw new RangeError("expected http:// or https://");
    if (url.username !== "" || url.password !== "") {
      throw new RangeError("a user or password cannot stand here: give headers: { authorization: ... }");
    }
    if (value.includes("#")) throw new RangeError("a fragment cannot stand here: it is not sent");
    return url;
  },
  "secret",
);

const [LEAST_KEY_BYTES, MOST_KEY_BYTES] = [24, 64];
const secret = text(
  `whsec_ and ${LEAST_KEY_BYTES} to ${MOST_KEY_BYTES} bytes in base64, such as echo "whsec_$(openssl rand -base64 32)" prints`,
  (value) => {
    const placeholder = placeholderIn(value);
    if (placeholder !== undefined) throw new RangeError(placeholderText(placeholder));
    const [, base64 = ""] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value) ?? [];
    const key = Buffer.from(base64, "base64");
    // What is no whole base64 would be another key for the receiver's library.
    if (key.toString("base64") !== base64) throw new TypeError("no base64");
    if (key.length < LEAST_KEY_BYTES || key.length > MOST_KEY_BYTES) throw new TypeError("too short, or too long");
    return value;
  },
  "secret",
);

/** They say how a delivery is framed, and what it is. */
const OWN_HEADERS =
  /^(?:host|connection|content-length|content-type|transfer-encoding|expect|upgrade|keep-alive|te|trailer|webhook-.*)$/i;

const someHeaders = expected("a map of headers, such as { authorization: ... }", "secret");
const headerValue = z.string(expected("a text; put quotes around it", "secret")).superRefine((value, context) => {
  const placeholder = placeholderIn(value);
  if (placeholder !== undefined) context.addIssue(placeholderText(placeholder));
  else if (!/^[\t\x20-\x7e]*$/.test(value)) context.addIssue("expected letters, digits and signs, in one line");
});
const headers = z.record(z.string(), headerValue, someHeaders).superRefine((given, context) => {
  for (const header of Object.keys(given)) {
    const issue = (message: string): void => context.addIssue({ code: "custom", path: [header], message });
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(header)) issue("is no name of a header");
    else if (OWN_HEADERS.test(header)) issue("is set by the proxy itself; leave it out");
  }
});

const formats = ["json", "slack"] as const;

const webhook = section({
  name: name.exactOptional(),
  url,
  headers: headers.default({}),
  secret: secret.exactOptional(),
  format: z.enum(formats, expected(formats.join(" or "))).default("json"),
}).transform(({ name, ...others }): WebhookConfig => ({ name: name ?? others.url.host, ...others }));

export const webhooks = z
  .array(webhook, expected("a list of webhooks", "secret"))
  .superRefine(refuseOddNames, { when: ({ issues }) => issues.length === 0 });

function refuseOddNames(list: readonly WebhookConfig[], context: z.core.$RefinementCtx): void {
  const names = list.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    const issue = (message: string): void => context.addIssue({ code: "custom", path: [index, "name"], message });
    const first = names.indexOf(name);
    if (!isName(name)) issue(`the host of its url is too long for a name; give ${aName}`);
    else if (first < index) issue(`${shown(name)} is already the name of webhooks[${first}]; give each its own`);
  }
}
