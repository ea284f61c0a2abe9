/**
 * An array as Postgres reads it from text: to encode one itself, a driver would first have to ask the server for its array
 * types, on every new connection.
 */
export function arrayLiteral(values: readonly (string | number)[]): string {
  const elements = values.map((value) =>
    typeof value === "number" ? value : `"${value.replaceAll(/[\\"]/g, "\\$&")}"`,
  );
  return `{${elements.join(",")}}`;
}
