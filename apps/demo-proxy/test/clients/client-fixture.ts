import { systemClock } from "@usage/counter-core";
import type { ClientReport, ClientsReport } from "../../src/admin/api/clients.ts";
import type { ProxyParts } from "../../src/compose.ts";
import type { Address } from "../../src/config/address.ts";
import { type Ask, send } from "../proxy/client.ts";
import { startUpstream } from "../proxy/node-upstream.ts";
import { call } from "../support/call.ts";
import { configured, startConfigured } from "../support/configured-app.ts";

export const keyOf = (name: string): string => `key-of-${name}-0123456789`;

export interface Settings {
  /** In YAML: by name, what a client has besides its key. */
  readonly clients: Readonly<Record<string, string>>;
  readonly plans?: string;
  /** Of each backend. */
  readonly limits?: string;
  readonly backends?: readonly string[];
  readonly more?: string;
}

/** Noon of a day of this month, whenever the test runs: no day or week ends meanwhile. */
export function noon() {
  const { now } = systemClock;
  const aheadMs = (new Date().setUTCHours(12, 0, 0, 0) as number) - now();
  return { ...systemClock, now: () => now() + aheadMs };
}

export function settings(url: string, { plans = "{}", clients, limits = "{}", ...given }: Settings): string {
  const { backends = ["llm"], more = "" } = given;
  const lines = Object.entries(clients).map(([name, of]) => `- { name: ${name}, key: ${keyOf(name)}, ${of} }`);
  return `
plans: ${plans}
clients: ${lines.length === 0 ? "" : `\n${lines.join("\n")}`}
backends: [${backends.map((name) => `{ name: ${name}, url: "${url}/${name}", limits: ${limits} }`).join(", ")}]
${more}`;
}

/**
 * A proxy whose backends send so many bytes as the path says; `/busy/` and a backend's name before them: that one is too busy;
 * `/unannounced`: nobody is told how many.
 */
export async function startWithClients(given: Settings, parts: ProxyParts = { clock: noon() }) {
  const upstream = await startUpstream((request, response) => {
    const [, backend = "", , bytes = "0"] =
      /^\/([^/]+)(\/busy\/[^/]+|\/unannounced)?\/(\d+)/.exec(request.url ?? "") ?? [];
    const isBusy = request.url?.includes(`/busy/${backend}/`) === true;
    request.resume().on("end", () => {
      response.statusCode = isBusy ? 503 : 200;
      // What a provider says of the operator's account.
      response.setHeader("ratelimit", '"of-the-account";r=5');
      response.setHeader("ratelimit-remaining", "5");
      response.setHeader("x-ratelimit-remaining-requests", "5");
      response.setHeader("access-control-expose-headers", "x-request-id");
      if (request.url?.includes("/unannounced/")) response.write(Buffer.alloc(Number(bytes)), () => response.end());
      else response.end(Buffer.alloc(Number(bytes)));
    });
  });
  const url = `http://127.0.0.1:${upstream.port}`;
  const started = await startConfigured(settings(url, given), parts);
  const { live } = started.app;
  return {
    ...started,
    upstream,
    ask: (name: string, path = "/10", options: Ask = {}) => {
      const headers = { ...options.headers, authorization: `Bearer ${keyOf(name)}` };
      return send(started.proxy.port, path, { ...options, headers });
    },
    /** Takes other clients and plans over. */
    take: (next: Settings) =>
      live.take(async () => {
        const { clients, plans, terms } = configured(settings(url, next));
        return { ...live.config, ...(clients && { clients }), ...(plans && { plans }), ...(terms && { terms }) };
      }),
  };
}

export async function clientsOf(admin: Address, query = ""): Promise<ClientsReport> {
  return (await call(admin, `/api/clients${query}`)).json as ClientsReport;
}

export async function clientOf(admin: Address, name: string): Promise<ClientReport | undefined> {
  return (await clientsOf(admin, `?search=${name}`)).clients.find((client) => client.name === name);
}
