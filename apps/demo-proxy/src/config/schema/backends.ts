import { assertBackendName } from "@usage/counter-core";
import { z } from "zod";
import { refusePlaceholders } from "../placeholder.ts";
import type { BackendAuth, BackendHeaders } from "../proxy-config.ts";
import { backendAuth, backendHeaders } from "./credentials.ts";
import { expected, section, shown, text } from "./expected.ts";
import { limits } from "./limits.ts";
import { tokens } from "./rules.ts";
import { path } from "./values.ts";
import { thresholds } from "./webhooks.ts";

const backendName = text("a name", (value) => {
  assertBackendName(value);
  return value;
});

const backendUrl = text(
  "an address such as https://s3.example.com/bucket",
  (value) => {
    refusePlaceholders(value);
    const url = new URL(value);
    if (url.protocol !== "http:" && url.protocol !== "https:") throw new RangeError("expected http:// or https://");
    if (url.username !== "" || url.password !== "") {
      throw new RangeError(
        "a user or password cannot stand here: clients send their own Authorization, or auth and headers.set give the proxy's",
      );
    }
    if (/[?#]/.test(value))
      throw new RangeError("a query or fragment cannot stand here: only the path is put before a request's own");
    return url;
  },
  "secret",
);

const hostPolicies = ["upstream", "preserve"] as const;
const host = z.enum(hostPolicies, expected(hostPolicies.join(" or "))).default("upstream");

export const backends = z
  .array(
    section({
      name: backendName,
      url: backendUrl,
      host,
      ca: path("the path of a file with certificates").exactOptional(),
      limits: limits.prefault({}),
      thresholds: thresholds.exactOptional(),
      headers: backendHeaders.exactOptional(),
      auth: backendAuth.exactOptional(),
      tokens: tokens.exactOptional(),
    })
      .superRefine(refuseTwoAuthorizations)
      .superRefine(refuseIdleTrust),
    expected("a list of backends", "secret"),
  )
  .min(1, "name at least one backend, with its name and url")
  .superRefine(refuseDuplicates, { when: () => true });

/** Who a request is from is said once. */
function refuseTwoAuthorizations(
  { headers, auth }: { readonly headers?: BackendHeaders; readonly auth?: BackendAuth },
  context: z.core.$RefinementCtx,
): void {
  if (auth === undefined || !headers?.set?.has("authorization")) return;
  const message = "cannot stand beside auth, which sets it; leave one of them out";
  context.addIssue({ code: "custom", path: ["headers", "set", "authorization"], message });
}

function refuseIdleTrust(
  { url, ca }: { readonly url?: URL; readonly ca?: string },
  context: z.core.$RefinementCtx,
): void {
  if (ca === undefined || url?.protocol !== "http:") return;
  context.addIssue({ code: "custom", path: ["ca"], message: "is for TLS; write https:// in the url, or leave it out" });
}

/** Also runs when something else in the list is wrong, so that one reading of the file finds everything. */
function refuseDuplicates(list: unknown, context: z.core.$RefinementCtx): void {
  const names = Array.isArray(list) ? list.map(nameOf) : [];
  for (const [index, name] of names.entries()) {
    const first = names.indexOf(name);
    if (name === undefined || first === index) continue;
    const message = `${shown(name)} is already the name of backends[${first}]; each backend needs its own`;
    context.addIssue({ code: "custom", path: [index, "name"], message });
  }
}

function nameOf(backend: unknown): string | undefined {
  if (typeof backend !== "object" || backend === null || !("name" in backend)) return undefined;
  return typeof backend.name === "string" ? backend.name : undefined;
}
