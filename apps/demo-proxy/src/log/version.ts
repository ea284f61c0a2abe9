import manifest from "../../package.json" with { type: "json" };

/** Of this app, as its package.json has it. */
export function packageVersion(): string {
  return manifest.version;
}
