import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap";
import type { IService } from "kubernetes-models/v1/Service";
import { parse, parseAllDocuments } from "yaml";
import { ROOT } from "./workspace.ts";

export const DOCKERFILE: string = join(ROOT, "Dockerfile");
export const COMPOSE: string = join(ROOT, "deploy/compose/compose.yaml");
export const UNIT: string = join(ROOT, "deploy/systemd/usage-proxy.service");
export const MANIFEST: string = join(ROOT, "deploy/kubernetes/usage-proxy.yaml");

/** A way to deploy: the proxy's configuration as it is there, and how long it is waited for before it is killed. */
export interface Deployment {
  readonly config: string;
  /** The names of its secrets. */
  readonly secrets: readonly string[];
  readonly graceSeconds: number;
}

export function compose(): Deployment {
  const { services, secrets } = parse(text(COMPOSE));
  return {
    config: text(join(ROOT, "deploy/compose/config/proxy.yaml")),
    secrets: Object.keys(secrets),
    graceSeconds: Number.parseInt(services.proxy.stop_grace_period, 10),
  };
}

export function systemd(): Deployment {
  return {
    config: text(join(ROOT, "deploy/systemd/proxy.yaml")),
    secrets: unit("LoadCredential").map((value) => value.split(":", 1)[0] ?? ""),
    graceSeconds: Number(unit("TimeoutStopSec")[0]),
  };
}

export function kubernetes(): Deployment {
  const [map, deployment] = manifest();
  return {
    config: map.data?.["proxy.yaml"] ?? "",
    secrets: [...text(MANIFEST).matchAll(/--from-literal=(\w+)=/g)].map(([, name = ""]) => name),
    graceSeconds: deployment.spec?.template.spec?.terminationGracePeriodSeconds ?? 30,
  };
}

/** The documents of the manifest; that they are of these kinds, its test says. */
export function manifest(): readonly [IConfigMap, IDeployment, ...IService[]] {
  return parseAllDocuments(text(MANIFEST)).map((document) => document.toJS()) as unknown as ReturnType<typeof manifest>;
}

/** The values of a key of the unit. */
export function unit(key: string): readonly string[] {
  const lines = text(UNIT).split("\n");
  return lines.flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));
}

export interface Instruction {
  readonly name: string;
  readonly args: string;
}

/** The instructions of each stage of the Dockerfile. */
export function stages(): readonly (readonly Instruction[])[] {
  const lines = text(DOCKERFILE)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const found: Instruction[][] = [];
  for (const line of lines) {
    const [name = "", ...args] = line.split(" ");
    if (name === "FROM") found.push([]);
    found.at(-1)?.push({ name, args: args.join(" ") });
  }
  return found;
}

function text(path: string): string {
  return readFileSync(path, "utf8");
}
