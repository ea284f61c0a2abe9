import { validateHeaderName, validateHeaderValue } from "node:http";
import { z } from "zod";
import { ClientKey } from "../../credentials/client-key.ts";
import { Secret } from "../../credentials/secret.ts";
import { decidedByProxy } from "../../proxy/http/headers.ts";
import { placeholderIn, placeholderText } from "../placeholder.ts";
import type { BackendAuth, BackendHeaders, ClientConfig } from "../proxy-config.ts";
import { expected, expectedKind, section, text } from "./expected.ts";
import { clientLimits, terms } from "./plans.ts";

const LEAST_KEY_LENGTH = 16;

/** A text of visible ASCII that nothing shows. */
export function secret(what: string) {
  return text(what, (value) => new Secret(visible(value)), "secret");
}

function visible(value: string): string {
  const placeholder = placeholderIn(value);
  if (placeholder !== undefined) throw new RangeError(placeholderText(placeholder));
  if (!/^[\x21-\x7e]+$/.test(value)) throw new RangeError("expected letters, digits and signs, without spaces");
  return value;
}

const headerName = text("the name of a header", (value) => {
  try {
    validateHeaderName(value);
  } catch {
    throw new RangeError("expected the name of a header, such as x-api-key");
  }
  if (decidedByProxy(value)) throw new RangeError("the proxy itself decides on this header; leave it out");
  return value.toLowerCase();
});

const headerValue = text(
  "a text; put quotes around it",
  (value) => {
    const placeholder = placeholderIn(value);
    if (placeholder !== undefined) throw new RangeError(placeholderText(placeholder));
    try {
      validateHeaderValue("x", value);
    } catch {
      throw new RangeError("has signs that no header may have, such as a line break");
    }
    return new Secret(value);
  },
  "secret",
);

const set = z
  .record(z.string(), headerValue, expected("a map of headers and their values", "secret"))
  .superRefine((value, context) => {
    for (const name of Object.keys(value)) {
      const { error } = headerName.safeParse(name);
      if (error) context.addIssue({ code: "custom", path: [name], message: error.issues[0]?.message ?? "" });
    }
  })
  .transform((value) => new Map(Object.entries(value).map(([name, one]) => [name.toLowerCase(), one] as const)));

export const backendHeaders: z.ZodType<BackendHeaders> = section({
  set: set.exactOptional(),
  remove: z.array(headerName, expected("a list of names of headers")).exactOptional(),
});

const region = z
  .string(expected("a region, such as eu-central-1"))
  .regex(/^[\w-]{1,64}$/, expected("a region, such as eu-central-1"));
const aBucket = expected("the name of a bucket");
const bucket = z.string(aBucket).regex(/^[a-z0-9A-Z][\w.-]{1,254}$/, aBucket);

export const backendAuth: z.ZodType<BackendAuth> = z.discriminatedUnion(
  "kind",
  [
    section({ kind: z.literal("bearer"), token: secret("a token; put quotes around it") }),
    section({
      kind: z.literal("s3"),
      region,
      accessKeyId: secret("the id of an access key"),
      secretAccessKey: secret("the secret of an access key"),
      bucket: bucket.exactOptional(),
    }),
  ],
  expectedKind("bearer or s3"),
);

const key = text(
  "a key, or sha256: and its SHA-256 in hexadecimal digits",
  (value) => {
    visible(value);
    if (value.length < LEAST_KEY_LENGTH) {
      throw new RangeError(`needs at least ${LEAST_KEY_LENGTH} characters, such as openssl rand -hex 16 prints`);
    }
    if (/^sha256:/i.test(value) && !/^sha256:[0-9a-f]{64}$/i.test(value)) {
      throw new RangeError("expected 64 hexadecimal digits after sha256:, such as sha256sum prints");
    }
    return new ClientKey(value);
  },
  "secret",
);

const clientName = text("a name of letters, digits and ._@-", (value) => {
  if (!/^[\w.@-]{1,128}$/.test(value)) throw new TypeError("no name");
  return value;
});

/** Who may use the proxy. */
export const clients: z.ZodType<readonly ClientConfig[]> = z
  .array(
    section({
      name: clientName,
      key,
      plan: z.string(expected("the name of one of the plans")).exactOptional(),
      limits: clientLimits.exactOptional(),
      ...terms,
    }),
    expected("a list of clients, each with a name and a key", "secret"),
  )
  .min(1, "name at least one client, or leave it out: then anybody who reaches the proxy may use it")
  .superRefine((list, context) => {
    const [names, keys] = [new Map<string, number>(), new Map<string, number>()];
    for (const [index, { name, key }] of list.entries()) {
      refuseTwin(context, names, name, [index, "name"]);
      refuseTwin(context, keys, key.fingerprint, [index, "key"]);
    }
  });

function refuseTwin(
  context: z.core.$RefinementCtx,
  seen: Map<string, number>,
  value: string,
  [index, part]: readonly [index: number, part: "name" | "key"],
): void {
  const first = seen.get(value);
  if (first === undefined) seen.set(value, index);
  else {
    const message = `is already the ${part} of clients[${first}]; each client needs its own`;
    context.addIssue({ code: "custom", path: [index, part], message });
  }
}
