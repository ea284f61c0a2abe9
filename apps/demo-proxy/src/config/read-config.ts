import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { z } from "zod";
import { type Complaint, ConfigError } from "./config-error.ts";
import { nearMiss } from "./near-miss.ts";
import type { ProxyConfig } from "./proxy-config.ts";
import { type ConfigFile, configFile } from "./schema/config-file.ts";
import { type Path, parseYaml, type YamlSource } from "./yaml-source.ts";

/**
 * Reads a YAML file. Its own path and that of the SQLite file in it are relative to `folder`.
 *
 * @throws ConfigError with everything that is wrong with it, by line.
 */
export async function loadConfig(file: string, folder: string): Promise<ProxyConfig> {
  let text: string;
  try {
    text = await readFile(resolve(folder, file), "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ConfigError(file, [{ path: "", message: `cannot be read (${reason}); check --config` }], {
      cause: error,
    });
  }
  return parseConfig(text, { file, folder });
}

/** @throws ConfigError */
export function parseConfig(text: string, { file, folder }: { file: string; folder: string }): ProxyConfig {
  const source = parseYaml(text);
  if (source.complaints.length > 0) throw new ConfigError(file, source.complaints);
  if (source.value === null) {
    throw new ConfigError(file, [
      { path: "", message: "is empty; give at least backends, each with a name and a url" },
    ]);
  }
  const parsed = configFile.safeParse(source.value);
  if (!parsed.success) throw new ConfigError(file, complaintsOf(parsed.error.issues, source));
  const config = complete(parsed.data, folder);
  const clashes = contradictions(config, source);
  if (clashes.length > 0) throw new ConfigError(file, clashes);
  return config;
}

const SQLITE_INTERVAL_MS = 1_000;
const POSTGRES_INTERVAL_MS = 30_000;
const NEAR_LIMIT_INTERVAL_MS = 5_000;

function complete({ store, flush, ...rest }: ConfigFile, folder: string): ProxyConfig {
  // A flush to SQLite costs less than a millisecond; what a kill can lose is one interval.
  const intervalMs = flush.intervalMs ?? (store.kind === "sqlite" ? SQLITE_INTERVAL_MS : POSTGRES_INTERVAL_MS);
  const nearLimitIntervalMs = flush.nearLimitIntervalMs ?? Math.min(NEAR_LIMIT_INTERVAL_MS, intervalMs);
  return {
    ...rest,
    store: store.kind === "sqlite" ? { kind: "sqlite", file: resolve(folder, store.file) } : store,
    flush: { ...flush, intervalMs, nearLimitIntervalMs },
  };
}

function contradictions({ listen, admin, flush }: ProxyConfig, source: YamlSource): Complaint[] {
  const complaints: Complaint[] = [];
  if (listen.port !== 0 && listen.port === admin.listen.port && listen.host === admin.listen.host) {
    const message = "is where the proxy itself listens; give it another port";
    complaints.push(complaint(["admin", "listen"], "value", message, source));
  }
  if (flush.nearLimitIntervalMs > flush.intervalMs) {
    const message = `is longer than intervalMs (${flush.intervalMs}); give at most as much`;
    complaints.push(complaint(["flush", "nearLimitIntervalMs"], "value", message, source));
  }
  return complaints;
}

function complaintsOf(issues: readonly z.core.$ZodIssue[], source: YamlSource): Complaint[] {
  const complaints = issues.flatMap((issue) => {
    if (issue.code !== "unrecognized_keys") return complaint(issue.path, "value", issue.message, source);
    return issue.keys.map((key) => {
      const guess = nearMiss(key, issue.message.split(", "));
      const hint = guess === undefined ? "unknown key;" : `unknown key, did you mean ${guess}?`;
      const message = `${hint} known here: ${issue.message}`;
      return complaint([...issue.path, key], "key", message, source);
    });
  });
  return complaints.sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
}

function complaint(path: Path, part: "key" | "value", message: string, source: YamlSource) {
  return { position: source.position(path, part), path: pathText(path), message };
}

function pathText(path: Path): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === "number") return `${text}[${segment}]`;
    const key = /^\w+$/.test(String(segment)) ? String(segment) : JSON.stringify(String(segment));
    return text === "" ? key : `${text}.${key}`;
  }, "");
}
