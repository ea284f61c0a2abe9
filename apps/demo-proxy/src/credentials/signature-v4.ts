import { createHmac, createSecretKey, hash, type KeyObject } from "node:crypto";

// AWS Signature Version 4 as S3 has it: paths are encoded once and nothing in them is resolved.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

export const ALGORITHM = "AWS4-HMAC-SHA256";
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

/** A request as it is signed. */
export interface Signable {
  readonly method: string;
  /** Encoded as it is signed. */
  readonly path: string;
  /** `canonicalQuery` of it, without the signature. */
  readonly query: string;
  /** Names in lower case, and their values, in the order of the names. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** SHA-256 of the body in hexadecimal digits, or the word that stands for it. */
  readonly payload: string;
}

/** When and for what a signature is: `20261128T213000Z`, and `20261128/REGION/s3/aws4_request`. */
export interface Scope {
  readonly time: string;
  readonly scope: string;
}

/** The key of one day, region and service. */
export function signingKey(secret: KeyObject | string, scope: string): KeyObject {
  let key: KeyObject | string | Buffer = secret;
  for (const part of scope.split("/")) key = createHmac("sha256", key).update(part).digest();
  // Node takes ten times as long for the bytes.
  return createSecretKey(key as Buffer);
}

/** The signature of a request, in hexadecimal digits. */
export function signatureOf(request: Signable, { time, scope }: Scope, key: KeyObject): string {
  const { method, path, query, headers, payload } = request;
  let lines = "";
  for (const [name, value] of headers) lines += `${name}:${value.trim().replace(/ +/g, " ")}\n`;
  const canonical = `${method}\n${path}\n${query}\n${lines}\n${signedNames(headers)}\n${payload}`;
  return hmacHex(key, `${ALGORITHM}\n${time}\n${scope}\n${sha256Hex(canonical)}`);
}

export function signedNames(headers: Signable["headers"]): string {
  return headers.map(([name]) => name).join(";");
}

/** `20261128T213000Z` of milliseconds since the Unix epoch. */
export function signatureTime(ms: number): string {
  return `${new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "")}`;
}

/** Milliseconds since the Unix epoch of such a time; undefined for what is none. */
export function parseSignatureTime(time: string): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** A path with every byte encoded as it is signed. */
export function canonicalPath(path: string): string {
  return /^[\w.~/-]*$/.test(path) ? path : path.replace(/%([0-9A-Fa-f]{2})|[^\w.~/-]/g, encoded);
}

/** The parameters of a query, encoded and in the order in which they are signed, without those that `drop` says. */
export function canonicalQuery(query: string, drop: (name: string) => boolean): string {
  if (query === "") return "";
  const pairs: (readonly [name: string, value: string])[] = [];
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const [name, value] = splitPair(pair);
    if (!drop(name)) pairs.push([encodePart(name), encodePart(value)]);
  }
  pairs.sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

export function splitPair(pair: string): readonly [name: string, value: string] {
  const at = pair.indexOf("=");
  return at === -1 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}

export function splitTarget(target: string): readonly [path: string, query: string] {
  const at = target.indexOf("?");
  return at === -1 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

/** A part of a query with every byte encoded as it is signed; a plus is a space there. */
export function encodePart(part: string): string {
  if (/^[\w.~-]*$/.test(part)) return part;
  return part.replace(/%([0-9A-Fa-f]{2})|[^\w.~-]/g, (sign, hex?: string) =>
    sign === "+" ? "%20" : encoded(sign, hex),
  );
}

/** What clients send is bytes, one to a character. */
function encoded(sign: string, hex?: string): string {
  if (hex === undefined) return `%${byteHex(sign.charCodeAt(0))}`;
  const character = String.fromCharCode(Number.parseInt(hex, 16));
  return /[\w.~-]/.test(character) ? character : sign.toUpperCase();
}

function byteHex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export function sha256Hex(data: string | Buffer): string {
  return hash("sha256", data, "hex");
}

export function hmacHex(key: KeyObject, text: string): string {
  return createHmac("sha256", key).update(text).digest("hex");
}
