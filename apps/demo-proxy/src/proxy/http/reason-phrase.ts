// What undici could not decode, and what no field may have.
const LOST = /[^\t\x20-\x7e\x80-\uffff]|\ufffd/;

const ASCII = /^[\t\x20-\x7e]*$/;

/**
 * The reason phrase of a response as node may be given it: text whose characters are bytes. Undici decodes it as UTF-8; what
 * was something else is lost, and the status goes without: the standard one takes its place.
 */
export function reasonPhrase(decoded: string | undefined): string | undefined {
  if (decoded === undefined || ASCII.test(decoded)) return decoded;
  return LOST.test(decoded) ? undefined : Buffer.from(decoded).toString("latin1");
}
