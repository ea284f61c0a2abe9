const SHAPE = /^(?:jdbc:postgresql|postgres(?:ql)?(?:\+\w+)?):\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/is;
const HOST = /^(?:\[[\dA-Fa-f:.%\w]+\]|[^\s:@/?#[\]]*)(?::\d{0,5})?$/;

/**
 * Where a connection string leads: hosts (or the folder of a socket) and the database, as messages may show them. Undefined
 * when it is none, or when a sign in its password that is not percent-encoded keeps the parts from being told apart: then
 * any of them may belong to the password. The store reads it in full.
 */
export function postgresPlace(url: string): string | undefined {
  const [whole, authority = "", database = "", query = ""] = SHAPE.exec(url) ?? [];
  const at = authority.lastIndexOf("@");
  if (whole === undefined || database.includes("@") || (at < 0 && query.includes("@"))) return undefined;
  const hosts = authority.slice(at + 1);
  if (!hosts.split(",").every((host) => HOST.test(host))) return undefined;
  try {
    const parameters = new URLSearchParams(query);
    const place = decodeURIComponent(hosts) || parameters.get("host") || "localhost";
    return `${place}/${decodeURIComponent(database) || parameters.get("dbname") || ""}`;
  } catch {
    return undefined;
  }
}
