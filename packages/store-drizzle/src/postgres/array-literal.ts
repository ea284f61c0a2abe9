/**
 * An array as Postgres reads it from text: to encode one itself, a driver would first have to ask the server for its array
 * types, on every new connection.
 */
export function arrayLiteral(values: readonly (string | number)[]): string {
  // Made at once, which is several times faster, where nothing is escaped: JSON knows escapes that Postgres does not.
  const json = JSON.stringify(values);
  if (!json.includes("\\")) return `{${json.slice(1, -1)}}`;
  const elements = values.map((value) =>
    typeof value === "number" ? value : `"${value.replaceAll(/[\\"]/g, "\\$&")}"`,
  );
  return `{${elements.join(",")}}`;
}
