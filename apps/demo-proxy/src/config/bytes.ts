const UNITS: ReadonlyMap<string, bigint> = new Map([
  ["B", 1n],
  ["kB", 10n ** 3n],
  ["KB", 10n ** 3n],
  ["MB", 10n ** 6n],
  ["GB", 10n ** 9n],
  ["TB", 10n ** 12n],
  ["PB", 10n ** 15n],
  ["KiB", 2n ** 10n],
  ["MiB", 2n ** 20n],
  ["GiB", 2n ** 30n],
  ["TiB", 2n ** 40n],
  ["PiB", 2n ** 50n],
]);
const SIZE = /^(\d{1,16})(?:\.(\d{1,16}))? ?([A-Za-z]+)$/;

/**
 * The bytes that a size such as `10GiB`, `500MB`, `1.5 TiB` or `1024` stands for, exactly.
 *
 * @throws RangeError when it is not a size, not a whole number of bytes, or above 2^53-1.
 */
export function parseBytes(size: number | string): number {
  const bytes = typeof size === "number" ? size : parseText(size);
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new RangeError(`a size must be a whole number of bytes from 0 to 2^53-1, got ${shown(size)}`);
  }
  return bytes;
}

function parseText(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const [, whole = "", fraction = "", unit = ""] = SIZE.exec(text) ?? [];
  const factor = UNITS.get(unit);
  if (factor === undefined) {
    throw new RangeError(`a size must be a number with one of ${[...UNITS.keys()].join(", ")}, got ${shown(text)}`);
  }
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * factor;
  return scaled % scale === 0n ? Number(scaled / scale) : Number.NaN;
}

function shown(size: number | string): string {
  return typeof size === "string" ? JSON.stringify(size.length > 32 ? `${size.slice(0, 32)}...` : size) : String(size);
}

/** Bytes for people: `512 B`, `1.5 KiB`, `24.0 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(5, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${"KMGTP"[power - 1]}iB`;
}
