import { z } from "zod";
import { parseAddress } from "../address.ts";
import { parseBytes } from "../bytes.ts";
import { expected, parsed, text, wholeNumber } from "./expected.ts";

export const address = text('host:port, such as 127.0.0.1:8080 or "[::1]:8080"', (value) => {
  const found = parseAddress(value);
  if (found === undefined) throw new TypeError("not an address");
  return found;
});

const LONGEST_DELAY_MS = 2 ** 31 - 1;
export const duration = wholeNumber("milliseconds", 1, LONGEST_DELAY_MS);
export const count = wholeNumber("requests", 0, Number.MAX_SAFE_INTEGER);

const someSize = expected("a size in bytes, such as 500MB or 10GiB");
export const size = parsed(z.union([z.number(), z.string()], someSize), parseBytes, someSize);
