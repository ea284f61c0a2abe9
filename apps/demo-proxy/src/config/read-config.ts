import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { z } from "zod";
import { complete } from "./complete.ts";
import { type Complaint, ConfigError } from "./config-error.ts";
import type { Environment, Place } from "./paths.ts";
import type { ProxyConfig } from "./proxy-config.ts";
import { type FileTexts, Filled, readFiles } from "./references.ts";
import { configFile } from "./schema/config-file.ts";
import { shown, unknownKey } from "./schema/expected.ts";
import type { Path } from "./yaml-nodes.ts";
import { parseYaml, type YamlSource } from "./yaml-source.ts";

/**
 * Reads a YAML file. Its own path and those in it are relative to `folder`; references in it take their values from `env`
 * and from files.
 *
 * @throws ConfigError with everything that is wrong with it, by line.
 */
export async function loadConfig(file: string, folder: string, env: Environment = {}): Promise<ProxyConfig> {
  let text: string;
  try {
    text = await readFile(resolve(folder, file), "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ConfigError(file, [{ path: "", message: `cannot be read (${reason}); check the path` }], {
      cause: error,
    });
  }
  const source = parseYaml(text);
  return configOf(source, { file, folder, env, files: await readFiles(source, { folder, env }) });
}

export interface ParseOptions {
  /** As complaints name it. */
  readonly file: string;
  readonly folder: string;
  /** @default none */
  readonly env?: Environment;
}

/**
 * The same for a text that is read already. References to files cannot be followed.
 *
 * @throws ConfigError
 */
export function parseConfig(text: string, { file, folder, env = {} }: ParseOptions): ProxyConfig {
  return configOf(parseYaml(text), { file, folder, env, files: new Map() });
}

interface Reading extends Place {
  readonly file: string;
  readonly files: FileTexts;
}

function configOf(source: YamlSource, { file, files, ...place }: Reading): ProxyConfig {
  if (source.complaints.length > 0) throw new ConfigError(file, source.complaints);
  const filled = new Filled(source, place, files);
  const value = fileValue(source, file);
  const parsed = configFile.safeParse(value);
  const issues = parsed.error?.issues.filter(({ path }) => !filled.isUnfilled(path)) ?? [];
  const complaints = [
    ...filled.problems.map(([path, message]) => complaint(path, "value", message, source)),
    ...issues.flatMap((issue) => complaintsOf(issue, source, filled)),
  ];
  if (!parsed.success || complaints.length > 0) throw new ConfigError(file, inOrder(complaints));
  const { config, clashes } = complete(parsed.data, place);
  if (clashes.length > 0) {
    throw new ConfigError(file, inOrder(clashes.map(([path, message]) => complaint(path, "value", message, source))));
  }
  return config;
}

function fileValue(source: YamlSource, file: string): unknown {
  try {
    const value = source.value();
    if (value !== null) return value;
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError(file, [{ path: "", message: error.message }]);
    throw error;
  }
  throw new ConfigError(file, [{ path: "", message: "is empty; give at least backends, each with a name and a url" }]);
}

function complaintsOf(issue: z.core.$ZodIssue, source: YamlSource, filled: Filled) {
  if (issue.code !== "unrecognized_keys") {
    const message = withoutValue(issue, source, filled);
    return [complaint(issue.path, "value", message, source)];
  }
  return issue.keys.map((key) => complaint([...issue.path, key], "key", unknownKey(key, issue.message), source));
}

/** What a reference stands for may be a secret, whatever the setting. */
function withoutValue({ path, message }: z.core.$ZodIssue, source: YamlSource, filled: Filled): string {
  const references = filled.referencesAt(path);
  // fault: shows what a reference stands for
  if (references.length === 0) return message;
  const value = `what ${references.join(" and ")} stands for`;
  return message.replaceAll(shown(source.scalarAt(path)?.value), value).replace(/, got .*$/s, `, got ${value}`);
}

function complaint(path: Path, part: "key" | "value", message: string, source: YamlSource): Placed {
  return { position: source.position(path, part), path: pathText(path), message };
}

type Placed = Complaint & Required<Pick<Complaint, "position">>;

function inOrder(complaints: readonly Placed[]): readonly Complaint[] {
  return complaints.toSorted((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
}

function pathText(path: Path): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === "number") return `${text}[${segment}]`;
    const key = /^\w+$/.test(String(segment)) ? String(segment) : JSON.stringify(String(segment));
    return text === "" ? key : `${text}.${key}`;
  }, "");
}
