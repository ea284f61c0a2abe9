import type { ClientUsage } from "../../../clients/client-usage.ts";
import { type ClientWindow, STORED_WINDOWS } from "../../../clients/client-windows.ts";
import { inOnePeriod } from "../../in-one-period.ts";
import { jsonPieces } from "../../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../../problem.ts";
import type { RouteRequest } from "../../routes.ts";
import type { Turns } from "../../turns.ts";
import { noSuch } from "../settings/setting-change.ts";
import { withStore } from "../with-store.ts";
import { type ComparedAmount, compare } from "./audit.ts";

export interface ClientAuditParts {
  readonly clientUsage: ClientUsage;
  readonly turns: Turns;
}

/** A row of what `GET /api/clients/audit` answers. */
export interface ClientAuditRow extends ComparedAmount {
  readonly client: string;
  readonly window: ClientWindow;
  /** The key of its current period, which is another one where the client has another calendar. */
  readonly period: string;
}

/** Answers `GET /api/clients/audit`: of all clients or of one, in all windows that are stored or in one. */
export function auditClients({ clientUsage, turns }: ClientAuditParts, { query }: RouteRequest): Promise<Answer> {
  return withStore(async () => {
    const [client, window] = [query.get("client") || undefined, query.get("window") || undefined];
    if (window !== undefined && !STORED_WINDOWS.includes(window as ClientWindow)) {
      return badRequest(`window is one of ${STORED_WINDOWS.join(", ")}; shorter ones are not stored.`);
    }
    if (client !== undefined && clientUsage.accountOf(client) === undefined) return noSuch("client");
    const rows: ClientAuditRow[] = [];
    for (const one of clientUsage.storedTrackers()) {
      if (one.window !== (window ?? one.window)) continue;
      const names: string[] = [];
      await turns.each(clientUsage.accounts(), (account) => {
        if (account.name === (client ?? account.name) && clientUsage.isIn(account, one)) names.push(account.name);
      });
      for (const row of await rowsOf(turns, one, names)) rows.push(row);
    }
    return okBytes(await turns.encode(jsonPieces({}, "rows", rows)));
  });
}

type Tracker = ReturnType<NonNullable<ClientUsage["usage"]>["trackers"]>[number];

function rowsOf(turns: Turns, { window, tracker }: Tracker, names: readonly string[]): Promise<ClientAuditRow[]> {
  const { counter, store } = tracker;
  return inOnePeriod(counter, async () => {
    const rows: ClientAuditRow[] = [];
    if (names.length === 0) return rows;
    const period = counter.period().key;
    await compare({ counter, store, turns }, names, (client, amount) =>
      rows.push({ client, window, period, ...amount }),
    );
    return rows;
  });
}
