/** A message as bytes, latin1, taken apart as strictly as RFC 9112 allows. */
export interface ParsedResponse {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) ([\t\x20-\x7e\x80-\xff]*)$/;
const HEADER =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[\t ]*$/;

/**
 * What a connection brought until it closed, for one request that was no HEAD.
 *
 * @param cut whether the body may end too early, as it does when an upstream breaks off.
 * @throws Error with what is wrong unless it is one valid response and nothing else.
 */
export function parseResponse(text: string, cut: boolean): ParsedResponse {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const [, status = "", reason = ""] = STATUS_LINE.exec(first) ?? fail("the status line", first);
  const headers = lines.map((line): [string, string] => {
    const [, name = "", value = ""] = HEADER.exec(line) ?? fail("a header", line);
    return [name.toLowerCase(), value];
  });
  const rest = text.slice(end + 4);
  return { status: Number(status), reason, headers, body: bodyOf(Number(status), headers, rest, cut) };
}

function bodyOf(status: number, headers: ParsedResponse["headers"], rest: string, cut: boolean): string {
  const all = (name: string): string[] => headers.filter(([one]) => one === name).map(([, value]) => value);
  const lengths = all("content-length");
  const codings = all("transfer-encoding");
  if (lengths.length + codings.length > 1) fail("the framing", [...lengths, ...codings]);
  if (status < 200) fail("the status", status);
  if (status === 204 && lengths.length + codings.length > 0) fail("the framing of a 204", [...lengths, ...codings]);
  if (status === 204 || status === 304) return rest === "" ? rest : fail("what follows", rest);
  if (codings.length > 0) return codings[0] === "chunked" ? dechunked(rest, cut) : fail("the coding", codings);
  if (lengths.length === 0) return rest;
  const length = Number(lengths[0]);
  if (!(rest.length === length || (cut && rest.length < length))) fail("the length", [length, rest.length]);
  return rest;
}

function dechunked(text: string, cut: boolean): string {
  let body = "";
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n", at);
    const size = text.slice(at, end);
    if (end === -1 || !/^[0-9a-f]+$/.test(size)) return cut ? body : fail("a chunk's size", text.slice(at));
    const from = end + 2;
    const to = from + Number.parseInt(size, 16);
    if (to === from) return text.slice(from) === "\r\n" ? body : fail("the end", text.slice(from));
    body += text.slice(from, to);
    if (text.slice(to, to + 2) !== "\r\n") return cut ? body : fail("a chunk's end", text.slice(to));
    at = to + 2;
  }
}

function fail(what: string, got: unknown): never {
  throw new Error(`${what} is not valid HTTP: ${JSON.stringify(got)}`);
}
