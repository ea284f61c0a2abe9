import { BlockList } from "node:net";
import { z } from "zod";
import { addNetwork } from "../../proxy/trusted-proxies.ts";
import { expected, section, text } from "./expected.ts";

const network = text("an IP address, or a network such as 10.0.0.0/8 or fd00::/8", (value) => {
  addNetwork(new BlockList(), value);
  return value;
});

/** The proxies in front of this one whose word is taken. */
export const trustedProxies = z.array(network, expected("a list of IP addresses and networks"));

/** As browsers send it: in lower case, without a default port, a path, or a slash at its end. */
const origin = text("an origin such as https://app.example.com", (value) => {
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\/[^\s/?#@*]+$/.exec(value) ?? [];
  if (scheme === undefined) throw new TypeError("not an origin");
  // Of other schemes, such as those of browser extensions, URL knows no origin.
  const sent = /^https?$/.test(scheme) ? new URL(value).origin : value;
  if (sent !== value) throw new RangeError(`browsers write this origin as ${sent}`);
  return value;
});

const someOrigins = expected('a list of origins such as https://app.example.com, or "*" for all');

/** Which pages of other sites may read the answers of the proxy's own. */
export const cors = section({
  origins: z.union([z.literal("*"), z.array(origin).min(1, someOrigins)], someOrigins),
  credentials: z.boolean(expected("true or false")).default(false),
}).superRefine(({ origins, credentials }, context) => {
  if (origins !== "*" || !credentials) return;
  const message = "is for listed origins only: browsers do not take * for requests with cookies";
  context.addIssue({ code: "custom", path: ["credentials"], message });
});
