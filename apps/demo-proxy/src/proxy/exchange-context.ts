import type { Clock } from "@usage/counter-core";
import type { ClientUsage } from "../clients/client-usage.ts";
import type { Clients } from "../credentials/clients.ts";
import type { AccessLog } from "./access-entry.ts";
import type { Router } from "./admission/route.ts";
import type { OwnAnswers } from "./answers/own-answers.ts";
import type { TrustedProxies } from "./http/trusted-proxies.ts";

/** What the exchanges of one server share. */
export interface ExchangeContext {
  readonly router: Router;
  readonly clock: Clock;
  /** Whether the server is shutting down: connections are not kept alive. */
  readonly closing: boolean;
  /** How long a WebSocket may stay open once its backend drains, in milliseconds. */
  readonly drainGraceMs: number;
  /** The `Keep-Alive` of answers on those that are. */
  readonly keepAlive: string;
  readonly ownAnswers: OwnAnswers;
  readonly trustedProxies: TrustedProxies;
  /** Who may send requests; undefined: anybody. */
  readonly clients: Clients | undefined;
  /** What they use and may use. */
  readonly clientUsage: ClientUsage | undefined;
  /** What this instance is called in the `Via` of requests. */
  readonly pseudonym: string;
  readonly accessLog: AccessLog | undefined;
}
