import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Address } from "../../src/config/address.ts";
import { Child } from "./child.ts";

export interface RunningProxy {
  readonly child: Child;
  readonly proxy: Address;
  readonly admin: Address;
}

/** The proxy on `folder`/proxy.yaml in a process of its own, once it listens. */
export async function startProxy(folder: string, env: NodeJS.ProcessEnv = {}): Promise<RunningProxy> {
  const child = new Child("src/main.ts", ["--config", "proxy.yaml"], folder, env);
  const { proxy, admin } = await child.event("listening");
  const at = (url: unknown): Address => ({ host: "127.0.0.1", port: Number(new URL(String(url)).port) });
  return { child, proxy: at(proxy), admin: at(admin) };
}

/** Writes a configuration on free ports; `settings` are further lines of it. */
export function writeConfig(folder: string, settings: string): void {
  writeFileSync(join(folder, "proxy.yaml"), `listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\n${settings}\n`);
}
