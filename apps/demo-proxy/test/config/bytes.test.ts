import { describe, expect, it } from "vitest";
import { formatBytes, parseBytes } from "../../src/config/bytes.ts";

describe("parseBytes", () => {
  it.each([
    [0, 0],
    [1_048_576, 1_048_576],
    ["1048576", 1_048_576],
    ["512B", 512],
    ["1kB", 1_000],
    ["500MB", 500_000_000],
    ["10GiB", 10_737_418_240],
    ["1.5 TiB", 1_649_267_441_664],
    ["0.5KiB", 512],
    ["7.999 PiB", undefined],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ["9007199254740991B", Number.MAX_SAFE_INTEGER],
  ])("reads %j as %j bytes, or refuses what is no whole number of them", (size, bytes) => {
    if (bytes === undefined) expect(() => parseBytes(size)).toThrow(RangeError);
    else expect(parseBytes(size)).toBe(bytes);
  });

  it.each([
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    "9007199254740992",
    "9007199254740992B",
    "8PiB",
    "1.3KiB",
    "0.1B",
    "",
    "GiB",
    "10 G",
    "10Gb",
    "10gib",
    "1e3B",
    "-1MB",
    "1 000",
    "1,5MB",
    "1.MB",
    " 1MB",
    "99999999999999999999999999MB",
  ])("refuses %j and says what it got", (size) => {
    expect(() => parseBytes(size)).toThrow(/^a size must be .*, got /);
  });
});

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1_572_864, "1.5 MiB"],
    [10 * 2 ** 30, "10.0 GiB"],
    [Number.MAX_SAFE_INTEGER, "8.0 PiB"],
  ])("writes %d as %j", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
