import { z } from "zod";
import { expected, expectedKind, section, text } from "./expected.ts";

const postgresUrl = text(
  "an address such as postgres://user:password@127.0.0.1:5432/usage, with special characters percent-encoded",
  (value) => {
    if (!/^postgres(ql)?:$/.test(new URL(value).protocol)) throw new RangeError("expected postgres://");
    return value;
  },
  "secret",
);

export const store = z.discriminatedUnion(
  "kind",
  [
    section({
      kind: z.literal("sqlite"),
      file: z.string(expected("the path of a file")).min(1, "give the path of a file"),
    }),
    section({ kind: z.literal("postgres"), url: postgresUrl }),
  ],
  expectedKind("sqlite or postgres"),
);
