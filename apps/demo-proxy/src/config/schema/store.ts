import { z } from "zod";
import { refusePlaceholders } from "../placeholder.ts";
import { postgresPlace } from "../postgres-url.ts";
import { expectedKind, section, text } from "./expected.ts";
import { path } from "./values.ts";

const postgresUrl = text(
  "an address such as postgres://user:password@127.0.0.1:5432/usage, with special characters percent-encoded",
  (value) => {
    if (!/^(jdbc:)?postgres/i.test(value)) throw new RangeError("expected postgres://");
    refusePlaceholders(value);
    if (postgresPlace(value) === undefined) throw new TypeError("its parts cannot be told apart");
    return value;
  },
  "secret",
);

const file = text("the path of a file", (value) => {
  if (value === "") throw new RangeError("give the path of a file");
  if (/^:memory:$|^file::memory:|mode=memory/i.test(value)) {
    throw new RangeError("a database in memory would lose all counts when the proxy ends; give the path of a file");
  }
  if (/^[a-z][a-z0-9+.-]+:/i.test(value)) throw new RangeError("expected a path and no URL, such as /var/lib/usage.db");
  if (value.includes("?")) throw new RangeError("expected a path alone: options after ? cannot stand here");
  if (/\p{Cc}/u.test(value)) throw new RangeError("a path has no control characters");
  if (/(^|[/\\])\.{0,2}$/.test(value) || value === "~") {
    throw new RangeError("is a folder; name the file in it, such as usage.db");
  }
  refusePlaceholders(value);
  return value;
});

const postgres = section({
  kind: z.literal("postgres"),
  url: postgresUrl,
  ca: path("the path of a file with certificates").exactOptional(),
}).superRefine(({ url, ca }, context) => {
  if (ca === undefined) return;
  const [, said] = /[?&](sslrootcert=|sslmode=(?:disable|allow|prefer))/i.exec(url) ?? [];
  if (said === undefined) return;
  const message = `cannot stand beside ${said.toLowerCase().replace(/=$/, "")} in the url; leave one of them out`;
  context.addIssue({ code: "custom", path: ["ca"], message });
});

export const store = z.discriminatedUnion(
  "kind",
  [section({ kind: z.literal("sqlite"), file }), postgres],
  expectedKind("sqlite or postgres"),
);
