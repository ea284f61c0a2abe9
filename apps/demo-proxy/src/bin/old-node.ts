import manifest from "../../package.json" with { type: "json" };

/** What is wrong with this Node; undefined when it is new enough. */
export function oldNode(version: string = process.versions.node): string | undefined {
  const needed = manifest.engines.node.replace(">=", "");
  const [[major = 0, minor = 0], [neededMajor = 0, neededMinor = 0]] = [numbersOf(version), numbersOf(needed)];
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return undefined;
  return `the usage proxy needs Node ${needed} or newer, and this is ${version}\n`;
}

function numbersOf(version: string): readonly number[] {
  return version.split(".").map(Number);
}
