import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unitExposure, unitFindings } from "@usage/test-servers";
import { validate } from "dockerfile-utils";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { inBuildStage } from "./support/build-stage.ts";
import {
  COMPOSE,
  compose,
  DOCKERFILE,
  kubernetes,
  manifest,
  stages,
  systemd,
  UNIT,
  unit,
} from "./support/deploy-files.ts";
import { ProductionFolder } from "./support/production-folder.ts";
import { run, tryRun } from "./support/run.ts";
import { catalogVersion, ROOT, TSC } from "./support/workspace.ts";

const { resolve } = createRequire(import.meta.url);
const INSTALLED = "/opt/usage-proxy";

let folder: ProductionFolder;
beforeAll(async () => {
  folder = await ProductionFolder.make();
});
afterAll(() => folder?.[Symbol.asyncDispose]());

describe("the Dockerfile", () => {
  it("is content with its linters", async () => {
    expect(validate(await readFile(DOCKERFILE, "utf8"))).toEqual([]);
    const linter = resolve("dockerfilelint/bin/dockerfilelint");
    expect(await tryRun(ROOT, process.execPath, linter, DOCKERFILE)).toMatchObject({ code: 0 });
  });

  it("builds and runs on the Node that everything here is tested with", () => {
    const bases = stages().map(([from]) => from?.args.split(" ")[0]);
    const expected = `node:${catalogVersion("node")}-bookworm-slim`;
    expect(bases).toEqual([expected, expected]);
  });

  it("makes the folder from what it copies", async () => {
    const version = await inBuildStage((built) =>
      run(built, process.execPath, "usage-proxy/app/usage-proxy.js", "--version"),
    );
    expect(version).toMatch(/^usage proxy \d/);
  });

  it("copies only what .dockerignore lets through", async () => {
    const allowed = (await readFile(join(ROOT, ".dockerignore"), "utf8")).match(/(?<=^!).+/gm) ?? [];
    const copied = stages()[0]
      ?.filter(({ name }) => name === "COPY")
      .flatMap(({ args }) => args.split(" ").slice(0, -1));
    const isAllowed = (path: string): boolean => allowed.some((root) => path === root || path.startsWith(`${root}/`));
    expect(copied?.filter((path) => !isAllowed(path))).toEqual([]);
  });

  it("runs without rights", () => {
    const user = stages()
      .at(-1)
      ?.find(({ name }) => name === "USER");
    expect(user?.args).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });
});

describe("the compose files", () => {
  it.each([COMPOSE, join(ROOT, "compose.yaml")])("%s is content with its schema and linter", async (file) => {
    const linter = join(resolve("dclint"), "../../bin/dclint.cjs");
    expect(await tryRun(ROOT, process.execPath, linter, "--quiet", file)).toMatchObject({ code: 0 });
  });

  it("makes the same servers as the one for development", async () => {
    const [deployed, development] = await Promise.all(
      [COMPOSE, join(ROOT, "compose.yaml")].map(async (file) => parse(await readFile(file, "utf8")).services),
    );
    for (const name of ["redis", "postgres"]) {
      expect(deployed[name].image).toBe(development[name].image);
      expect(deployed[name].command).toEqual(development[name].command);
      expect(deployed[name].healthcheck).toEqual(development[name].healthcheck);
    }
  });
});

describe("the unit", () => {
  it("is content with systemd, which finds it well protected", async () => {
    const file = join(await temporaryFolder(), "usage-proxy.service");
    const text = await readFile(UNIT, "utf8");
    await writeFile(file, text.replaceAll("/usr/bin/node", process.execPath));
    expect(await unitFindings(file)).toBe("");
    expect(await unitExposure(file)).toBeLessThanOrEqual(1.5);
  });

  it("starts the proxy, with a state that stays", async () => {
    const [command = ""] = unit("ExecStart");
    const [, program, ...args] = command.split(" ");
    expect([program, ...args]).toEqual([`${INSTALLED}/app/usage-proxy.js`, "--config", "/etc/usage-proxy/proxy.yaml"]);
    const config = systemd().config.replaceAll(/(listen: .*):\d+/g, "$1:0");
    const state = await folder.dataFolder(config);
    const started = folder.start(
      folder.nodes[0] ?? "",
      "usage-proxy",
      ["--config", "proxy.yaml"],
      state,
      await secretsOf(systemd()),
    );
    const { admin } = await started.addresses();
    // Who asks for its health has no token, and gets no numbers.
    const health = folder.start(folder.nodes[0] ?? "", "usage-proxy-health", [`${admin}/healthz`], state);
    expect([await health.exit(), health.errors]).toEqual([0, ""]);
    expect((await fetch(`${admin}/api/usage`)).status).toBe(401);
    expect(await started.exit("SIGTERM")).toBe(0);
    expect(existsSync(join(state, "usage.db"))).toBe(true);
    expect(unit("WorkingDirectory")).toEqual([`%S/${unit("StateDirectory")[0]}`]);
  });
});

describe("the Kubernetes manifest", () => {
  it("has only keys and values that Kubernetes knows", async () => {
    const models = join(ROOT, "proofs/packed/node_modules/kubernetes-models");
    const lines = manifest().flatMap((document, index) => {
      const { apiVersion = "", kind = "" } = document;
      return [
        `import type { I${kind} as T${index} } from ${JSON.stringify(join(models, apiVersion, kind))};`,
        `export const d${index}: T${index} = ${JSON.stringify(document)};`,
      ];
    });
    const project = await temporaryFolder();
    await writeFile(join(project, "manifest.ts"), lines.join("\n"));
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"];
    expect(await tryRun(project, process.execPath, TSC, ...options, "manifest.ts")).toEqual({ code: 0, output: "" });
    for (const document of manifest()) {
      const { apiVersion = "", kind = "" } = document;
      const { [kind]: Model } = await import(join(models, apiVersion, `${kind}.js`));
      expect(() => new Model(document).validate()).not.toThrow();
    }
  });

  it("asks the admin listener, and sends requests to the proxy", () => {
    const [, deployment, ...services] = manifest();
    const [container] = deployment.spec?.template.spec?.containers ?? [];
    const { listen, admin } = parse(kubernetes().config);
    expect(container?.ports).toEqual([
      { name: "http", containerPort: portOf(listen) },
      { name: "admin", containerPort: portOf(admin.listen) },
    ]);
    const probes = [container?.startupProbe, container?.livenessProbe, container?.readinessProbe];
    expect(probes.map((probe) => probe?.httpGet)).toEqual([
      { path: "/healthz", port: "admin" },
      { path: "/healthz", port: "admin" },
      { path: "/readyz", port: "admin" },
    ]);
    const ports = services.flatMap(({ kind, spec }) => (kind === "Service" ? (spec?.ports ?? []) : []));
    expect(ports.map(({ targetPort }) => targetPort)).toEqual(["http", "admin"]);
  });
});

describe.each(Object.entries({ compose, systemd, kubernetes }))("deployed by %s, the proxy", (_, deployment) => {
  it("has a valid configuration, whose secrets are those that it is given", async () => {
    const { config } = deployment();
    const data = await folder.dataFolder(config);
    const check = folder.start(
      folder.nodes[0] ?? "",
      "usage-proxy",
      ["--check", "proxy.yaml"],
      data,
      await secretsOf(deployment()),
    );
    expect([await check.exit(), check.errors]).toEqual([0, ""]);
  });

  it("is given the time that it may need to stop", () => {
    const { config, graceSeconds } = deployment();
    const { shutdown = {}, flush = {} } = parse(config);
    const { drainDelayMs = 0, graceMs = 10_000 } = shutdown;
    const neededMs = drainDelayMs + graceMs + (flush.timeoutMs ?? 30_000);
    expect(graceSeconds * 1_000).toBeGreaterThan(neededMs);
  });
});

it("all paths into the folder are there", async () => {
  const files = await Promise.all([DOCKERFILE, UNIT].map((path) => readFile(path, "utf8")));
  const paths = files.flatMap((text) => text.match(/\/opt\/usage-proxy\/[\w./-]+/g) ?? []);
  expect(paths.length).toBeGreaterThan(3);
  expect(paths.filter((path) => !existsSync(path.replace(INSTALLED, folder.path)))).toEqual([]);
});

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** A folder with the secrets, as it is told to the proxy. */
async function secretsOf({ secrets }: { readonly secrets: readonly string[] }): Promise<NodeJS.ProcessEnv> {
  const credentials = await folder.dataFolder("");
  const values: Readonly<Record<string, string>> = {
    admin_token: "0123456789abcdef0123456789abcdef",
    postgres_password: "s3cret",
    redis_url: "redis://:s3cret@redis:6379",
    postgres_url: "postgres://usage:s3cret@postgres:5432/usage",
  };
  for (const name of secrets) await writeFile(join(credentials, name), `${values[name]}\n`);
  return { CREDENTIALS_DIRECTORY: credentials };
}

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "usage-deploy-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}
