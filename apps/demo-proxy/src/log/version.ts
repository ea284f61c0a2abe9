import { existsSync, readFileSync } from "node:fs";

/** Of this app, as its package.json has it. */
export function packageVersion(): string {
  // One level deeper once it is compiled.
  const files = ["../../package.json", "../../../package.json"].map((path) => new URL(path, import.meta.url));
  const file = files.find((url) => existsSync(url));
  const { version }: { version?: unknown } = file === undefined ? {} : JSON.parse(readFileSync(file, "utf8"));
  return typeof version === "string" ? version : "unknown";
}
