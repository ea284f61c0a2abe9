import type { Usage } from "@usage/counter-core";
import type { BackendConfig, ClientConfig, ClientLimits, ProxyConfig } from "../config/proxy-config.ts";
import { countedDimensions } from "../counting/dimensions.ts";
import { onlyCounted, onlyCountedByWindow } from "../counting/only-counted.ts";
import type { SettingName, SettingSubject } from "./setting-subject.ts";

/** What somebody has put in place of what the file says; undefined: nothing. */
export type Override = (subject: SettingSubject, setting: SettingName) => unknown;

/** The configuration that is in force where the file says this. */
export function changedConfig(file: ProxyConfig, overriding: Override): ProxyConfig {
  const { backends, clients } = file;
  const counted = countedDimensions(file);
  const plans = file.plans && changedPlans(file.plans, counted, overriding);
  return {
    ...file,
    backends: backends.map((backend) => changedBackend(backend, counted, overriding)),
    ...(plans && { plans }),
    ...(clients && { clients: changedClients(clients, (client) => changedClient(client, plans, counted, overriding)) }),
  };
}

type Plans = ReadonlyMap<string, ClientLimits>;
type Counted = readonly string[];

function changedBackend(backend: BackendConfig, counted: Counted, overriding: Override): BackendConfig {
  const subject = { kind: "backend", name: backend.name } as const;
  const limits = overriding(subject, "limits") as Partial<Usage> | undefined;
  const thresholds = overriding(subject, "thresholds") as readonly number[] | undefined;
  return { ...backend, ...(limits && { limits: onlyCounted(counted, limits) }), ...(thresholds && { thresholds }) };
}

function changedPlans(plans: Plans, counted: Counted, overriding: Override): Plans {
  const limitsOf = (name: string) => inWindows(counted, overriding({ kind: "plan", name }, "limits"));
  return new Map(Array.from(plans, ([name, limits]) => [name, limitsOf(name) ?? limits]));
}

/** The same list where no client is changed: who compares thousands of them sees that at once. */
function changedClients(clients: readonly ClientConfig[], changed: (client: ClientConfig) => ClientConfig) {
  const next = clients.map(changed);
  return next.every((client, index) => client === clients[index]) ? clients : next;
}

const NOTHING: ClientLimits = { month: { apiRequests: 0 } };

function changedClient(
  client: ClientConfig,
  plans: Plans | undefined,
  counted: Counted,
  overriding: Override,
): ClientConfig {
  const subject = { kind: "client", name: client.name } as const;
  const [limits, plan] = [inWindows(counted, overriding(subject, "limits")), overriding(subject, "plan")];
  if (limits === undefined && plan === undefined) return client;
  const { plan: planOfFile, limits: limitsOfFile, ...rest } = client;
  const own = limits ?? limitsOfFile;
  const isMissing = typeof plan === "string" && !plans?.has(plan);
  const named = plan === undefined || isMissing ? planOfFile : ((plan ?? undefined) as string | undefined);
  const isOpen = isUnlimited(own) && isUnlimited(named === undefined ? undefined : plans?.get(named));
  // Whoever has put it into a plan did not mean it to be free of limits once that plan is gone.
  // fault: lets a client go without limits whose plan by API is gone
  const given = isMissing && isOpen ? NOTHING : own;
  return { ...rest, ...(named !== undefined && { plan: named }), ...(given && { limits: given }) };
}

function isUnlimited(limits: ClientLimits = {}): boolean {
  return Object.values(limits).every((amounts) => Object.keys(amounts).length === 0);
}

/** What the file counts no more is not limited, and keeps no proxy from its start. */
function inWindows(counted: Counted, limits: unknown): ClientLimits | undefined {
  return limits === undefined ? undefined : onlyCountedByWindow(counted, limits as ClientLimits);
}
