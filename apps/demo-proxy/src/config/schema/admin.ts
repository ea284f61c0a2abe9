import { z } from "zod";
import { type Address, formatAddress, isLoopback } from "../address.ts";
import { placeholderIn, placeholderText } from "../placeholder.ts";
import { expected, section } from "./expected.ts";
import { address } from "./values.ts";

const LOCAL_ADMIN: Address = { host: "127.0.0.1", port: 8081 };
const LEAST_TOKEN_LENGTH = 16;
const token = z.string(expected("a text; put quotes around it", "secret")).superRefine((value, context) => {
  const placeholder = placeholderIn(value);
  if (placeholder !== undefined) context.addIssue(placeholderText(placeholder));
  else if (!/^[\x21-\x7e]+$/.test(value)) context.addIssue("expected letters, digits and signs, without spaces");
});

export const admin = section({ listen: address.default(LOCAL_ADMIN), token: token.exactOptional() }).superRefine(
  (value, context) => {
    if (isLoopback(value.listen.host)) return;
    const reachable = `${formatAddress(value.listen)} can be reached from other machines`;
    if (value.token === undefined) {
      const message = `${reachable}: set admin.token, or listen on 127.0.0.1`;
      context.addIssue({ code: "custom", path: ["listen"], message });
    } else if (value.token.length < LEAST_TOKEN_LENGTH) {
      const message = `${reachable}, so this needs at least ${LEAST_TOKEN_LENGTH} characters, such as openssl rand -hex 16 prints`;
      context.addIssue({ code: "custom", path: ["token"], message });
    }
  },
);
