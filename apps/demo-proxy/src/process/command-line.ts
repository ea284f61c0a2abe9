import { parseArgs } from "node:util";
import { nearMiss } from "../config/near-miss.ts";

/** What the command line asks for. */
export type Command =
  | { readonly kind: "run" | "check"; readonly file: string }
  | { readonly kind: "help" | "version" }
  /** What is wrong with it, in a line. */
  | { readonly kind: "wrong"; readonly message: string };

export const HELP = `Usage: usage-proxy --config FILE
       usage-proxy --check FILE
In a checkout of the repository, usage-proxy is: npx -y pnpm@12 start

Runs the proxy on a YAML file, until SIGTERM or SIGINT: then it takes no more
requests, lets running ones end, stores what is counted, and exits.
Backends, clients, limits, routing, webhooks and flush settings are taken over
whenever the file changes, and on SIGHUP.

  --config FILE   the configuration, relative to where you are; so are paths in it
  --check FILE    says whether it is valid, and starts nothing
  -h, --help      this text
  -v, --version   the version of the proxy and of Node

Exit codes: 0 all is stored, or the file is valid; 1 it could not start, something
is not stored, or the file is not valid (stderr says what); 2 wrong usage;
130 and 143 a second signal ended it at once.
`;

const OPTIONS = {
  config: { type: "string" },
  // With or without a file of its own: `--check FILE`, `--check=FILE`, `--check --config FILE`.
  check: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const;
const NAMES = Object.keys(OPTIONS).map((name) => `--${name}`);

/** Reads the arguments after the script's name. Help and the version come before anything else that is asked for. */
export function readCommandLine(given: readonly string[]): Command {
  // Some package managers pass the -- on that ends their own options.
  const args = given[0] === "--" ? given.slice(1) : [...given];
  const { tokens } = parseArgs({ args, options: OPTIONS, strict: false, allowPositionals: true, tokens: true });
  const options = tokens.filter((token) => token.kind === "option");
  const names = new Set(options.map(({ name }) => name));
  if (names.has("help")) return { kind: "help" };
  if (names.has("version")) return { kind: "version" };
  const unknown = options.find(({ name }) => !Object.hasOwn(OPTIONS, name));
  if (unknown !== undefined) return unknownOption(args[unknown.index]?.split("=", 1)[0] ?? unknown.rawName);
  const kind = names.has("check") ? "check" : "run";
  const positionals = tokens.flatMap((token) => (token.kind === "positional" ? [token.value] : []));
  if (kind === "run" && positionals[0] !== undefined) return unexpected(positionals[0]);
  const [file, ...others] = [...options.flatMap(fileOf), ...positionals];
  if (file === undefined) return wrong(kind === "check" ? "--check needs a FILE" : "--config FILE is missing");
  if (file === "" || file.startsWith("-")) return wrong("--config needs a FILE");
  if (others.some((other) => other !== file)) return wrong("several files are given; one is taken");
  return { kind, file };
}

type OptionToken = Extract<NonNullable<ReturnType<typeof parseArgs>["tokens"]>[number], { kind: "option" }>;

function fileOf({ name, value }: OptionToken): readonly string[] {
  if (value !== undefined) return [value];
  return name === "config" ? [""] : [];
}

function unknownOption(name: string): Command {
  const guess = nearMiss(name, NAMES);
  return wrong(guess === undefined ? `unknown option ${name}` : `unknown option ${name}, did you mean ${guess}?`);
}

function unexpected(word: string): Command {
  const guess = nearMiss(`--${word}`, NAMES) ?? `--config ${word}`;
  return wrong(`unexpected ${word}, did you mean ${guess}?`);
}

function wrong(message: string): Command {
  return { kind: "wrong", message };
}
