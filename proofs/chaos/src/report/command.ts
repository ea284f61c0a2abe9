import { resolve } from "node:path";
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

export interface Command {
  readonly minutes: number;
  /** Where the report is written. */
  readonly file: string;
  /** A further option, when it was given. */
  option(name: string): string | undefined;
}

/** Reads the command line; ends with code 2 and a line of usage when it is wrong. */
export function readCommand(usage: string, defaultFile: string, further: readonly string[] = []): Command {
  const names = ["minutes", "report", ...further];
  const options: ParseArgsOptionsConfig = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
  try {
    const { values } = parseArgs({ options });
    const option = (name: string): string | undefined => {
      const value = values[name];
      return typeof value === "string" ? value : undefined;
    };
    const minutes = Number(option("minutes") ?? "10");
    if (!(minutes > 0)) throw new TypeError(`--minutes must be a number above 0, got ${option("minutes")}`);
    // A package manager changes to the root, and says in INIT_CWD where the user stands.
    const file = resolve(process.env.INIT_CWD ?? ".", option("report") ?? defaultFile);
    return { minutes, file, option };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\nusage: ${usage}`);
    process.exit(2);
  }
}
