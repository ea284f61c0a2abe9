import { z } from "zod";
import { type Address, formatAddress, isLoopback } from "../address.ts";
import { placeholderIn, placeholderText } from "../placeholder.ts";
import { expected, section, text } from "./expected.ts";
import { address, tlsFiles } from "./values.ts";

const LOCAL_ADMIN: Address = { host: "127.0.0.1", port: 8081 };
const LEAST_TOKEN_LENGTH = 16;
const token = z.string(expected("a text; put quotes around it", "secret")).superRefine((value, context) => {
  const placeholder = placeholderIn(value);
  if (placeholder !== undefined) context.addIssue(placeholderText(placeholder));
  else if (!/^[\x21-\x7e]+$/.test(value)) context.addIssue("expected letters, digits and signs, without spaces");
});

const shownUrl = text(
  "an address such as https://ops.example.com/usage/",
  (value) => {
    const { protocol, username, password, search, hash, hostname, pathname, href } = new URL(value);
    if (protocol !== "http:" && protocol !== "https:") throw new RangeError("expected http:// or https://");
    if (`${username}${password}${search}${hash}` !== "") throw new RangeError("give scheme, host, port and path alone");
    if (hostname.includes("*")) throw new RangeError("name each host; * stands for none");
    if (!/^\/(?:[\w.~-]+\/)*[\w.~-]*$/.test(pathname))
      throw new RangeError("expected a path of letters, digits and -._~");
    return href.endsWith("/") ? href : `${href}/`;
  },
  "secret",
);
const urls = z.array(shownUrl, expected("a list of addresses such as https://ops.example.com/usage/", "secret"));

export const admin = section({
  listen: address.default(LOCAL_ADMIN),
  tls: tlsFiles.exactOptional(),
  token: token.exactOptional(),
  urls: urls.exactOptional(),
}).superRefine((value, context) => {
  if (isLoopback(value.listen.host)) return;
  const reachable = `${formatAddress(value.listen)} can be reached from other machines`;
  if (value.token === undefined) {
    const message = `${reachable}: set admin.token, or listen on 127.0.0.1`;
    context.addIssue({ code: "custom", path: ["listen"], message });
  } else if (value.token.length < LEAST_TOKEN_LENGTH) {
    const message = `${reachable}, so this needs at least ${LEAST_TOKEN_LENGTH} characters, such as openssl rand -hex 16 prints`;
    context.addIssue({ code: "custom", path: ["token"], message });
  }
});
