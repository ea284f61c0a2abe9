import { z } from "zod";
import { type Address, formatAddress, isLoopback } from "../address.ts";
import { expected, section } from "./expected.ts";
import { address } from "./values.ts";

const LOCAL_ADMIN: Address = { host: "127.0.0.1", port: 8081 };
const token = z
  .string(expected("a text; put quotes around it", "secret"))
  .regex(/^[\x21-\x7e]+$/, "expected letters, digits and signs, without spaces");

export const admin = section({ listen: address.default(LOCAL_ADMIN), token: token.exactOptional() }).superRefine(
  (value, context) => {
    if (value.token !== undefined || isLoopback(value.listen.host)) return;
    const message = `${formatAddress(value.listen)} can be reached from other machines: set admin.token, or listen on 127.0.0.1`;
    context.addIssue({ code: "custom", path: ["listen"], message });
  },
);
