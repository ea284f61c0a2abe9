import { z } from "zod";
import { parseAddress } from "../address.ts";
import { parseBytes } from "../bytes.ts";
import { refusePlaceholders } from "../placeholder.ts";
import { expected, orText, parsed, section, text, wholeNumber } from "./expected.ts";

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

/** The path of a file that is there already. */
export function path(what: string) {
  return text(
    what,
    (value) => {
      if (value === "") throw new RangeError(`give ${what}`);
      if (/\p{Cc}/u.test(value)) throw new RangeError("a path has no control characters");
      if (value.includes("-----BEGIN"))
        throw new RangeError("is the text itself; put it into a file, and give its path");
      if (/^[a-z][a-z\d+.-]*:\/\//i.test(value)) throw new RangeError(`is an address; give ${what}`);
      refusePlaceholders(value);
      return value;
    },
    "secret",
  );
}

/** Where the certificate of a listener and its key are. */
export const tlsFiles = section({
  cert: path("the path of a file with the certificate and those between it and an authority"),
  key: path("the path of a file with its private key"),
});
