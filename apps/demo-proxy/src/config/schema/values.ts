import { z } from "zod";
import { parseAddress } from "../address.ts";
import { parseBytes } from "../bytes.ts";
import { expected, orText, parsed, text, wholeNumber } from "./expected.ts";

export const address = text('host:port, such as 127.0.0.1:8080 or "[::1]:8080"', (value) => {
  const found = parseAddress(value);
  if (found === undefined) throw new TypeError("not an address");
  return found;
});

const LONGEST_DELAY_MS = 2 ** 31 - 1;
export const delay = wholeNumber("milliseconds", 0, LONGEST_DELAY_MS);
export const duration = wholeNumber("milliseconds", 1, LONGEST_DELAY_MS);
export const units = wholeNumber("units", 0, Number.MAX_SAFE_INTEGER);
export const count = wholeNumber("requests", 0, Number.MAX_SAFE_INTEGER);

const someSize = expected("a size in bytes, such as 500MB or 10GiB");
export const size = parsed(orText(z.union([z.number(), z.string()], someSize)), parseBytes, someSize);

const someHeadSize = expected("a size from 1KiB to 1MiB");
export const headSize = size.refine((bytes) => bytes >= 1_024 && bytes <= 1_048_576, someHeadSize);

const switchedOn = expected("true or false");
export const flag = orText(z.boolean(switchedOn));

const aPart = expected("a number above 0 and at most 1");
export const part = orText(z.number(aPart).gt(0, aPart).max(1, aPart));
