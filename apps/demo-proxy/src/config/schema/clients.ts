import { BlockList } from "node:net";
import { z } from "zod";
import { addNetwork } from "../../proxy/http/trusted-proxies.ts";
import { expected, section, shown, text } from "./expected.ts";
import { flag } from "./values.ts";

const network = text("an IP address, or a network such as 10.0.0.0/8 or fd00::/8", (value) => {
  addNetwork(new BlockList(), value);
  return value;
});

/** The proxies in front of this one whose word is taken. */
export const trustedProxies = z.array(network, expected("a list of IP addresses and networks"));

const someOrigins = expected('a list of origins such as https://app.example.com, or "*" for all');
const origins = z
  .union([z.literal("*"), z.array(z.string()).min(1, someOrigins)], someOrigins)
  .superRefine((value, context) => {
    if (value === "*") return;
    for (const [index, origin] of value.entries()) {
      const message = complaintAbout(origin);
      if (message !== undefined) context.addIssue({ code: "custom", path: [index], message });
    }
  });

/** An origin is compared as browsers send it: in lower case, without a default port, a path, or a slash at its end. */
function complaintAbout(origin: string): string | undefined {
  const [, scheme = ""] = /^([a-z][a-z0-9+.-]*):\/\/[^\s/?#@*]+$/.exec(origin) ?? [];
  // Of other schemes, such as those of browser extensions, `URL` knows no origin.
  const sent = /^https?$/.test(scheme) ? URL.parse(origin)?.origin : scheme && origin;
  if (sent === origin) return undefined;
  return sent
    ? `browsers write this origin as ${sent}`
    : `expected an origin such as https://app.example.com, got ${shown(origin)}`;
}

/** Which pages of other sites may read the answers of the proxy's own. */
export const cors = section({
  origins,
  credentials: flag.default(false),
}).superRefine(({ origins, credentials }, context) => {
  if (origins !== "*" || !credentials) return;
  const message = "is for listed origins only: browsers do not take * for requests with cookies";
  context.addIssue({ code: "custom", path: ["credentials"], message });
});
