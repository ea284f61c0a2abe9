import type { ProxyConfig } from "../config/proxy-config.ts";
import type { SubjectKind } from "./setting-subject.ts";

export type NamesInFile = Readonly<Record<SubjectKind, ReadonlySet<string>>>;

/** The names of all that has settings in a configuration. */
export function namesIn({ backends, clients = [], plans }: ProxyConfig): NamesInFile {
  return {
    backend: new Set(backends.map(({ name }) => name)),
    client: new Set(clients.map(({ name }) => name)),
    plan: new Set(plans?.keys()),
  };
}
