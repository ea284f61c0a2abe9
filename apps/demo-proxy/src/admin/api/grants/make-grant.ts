import type { Usage } from "@usage/counter-core";
import { GrantConflictError, type GrantOptions } from "@usage/tracker";
import type { ClientWindow } from "../../../clients/client-windows.ts";
import { unknownKey } from "../../../config/schema/expected.ts";
import { messageOf } from "../../../log/message-of.ts";
import type { SettingSubject } from "../../../process/setting-subject.ts";
import type { Settings } from "../../../process/settings.ts";
import { type Answer, badRequest, created, ok, refuse } from "../../problem.ts";
import type { GrantBody } from "./grant-body.ts";

export interface GrantTold {
  /** Is told of each grant that is new. @default nobody is */
  readonly onGrant?: (grant: MadeGrant) => void;
  /** Tells the other instances. */
  readonly settings: Pick<Settings, "announceGrant">;
}

/** What somebody has granted a backend or a client for a period. */
export interface MadeGrant {
  readonly backend?: string;
  readonly client?: string;
  /** Of a client: the one that the period is of. */
  readonly window?: ClientWindow;
  readonly period: string;
  readonly id: string;
  readonly amounts: Partial<Usage>;
  readonly reason: string;
  readonly by?: string;
}

/** Who is granted more, and how. */
export interface Grantee {
  readonly subject: SettingSubject;
  readonly window?: ClientWindow;
  readonly counted: readonly string[];
  /** The key of the current one. */
  readonly period: string;
  /** Where grants of other periods are listed: what is before the period. */
  readonly listedAt: string;
  /** As `UsageTracker.grant`. */
  readonly grant: (amounts: Partial<Usage>, options: GrantOptions & { readonly period: string }) => Promise<boolean>;
  /** The limits in force, and what of them is granted by now, by this grant and others. */
  readonly standing: () => { readonly limits: Partial<Usage>; readonly granted?: Partial<Usage> };
}

/** Grants once under an id, for what is left of the current period. */
export async function makeGrant(
  { onGrant, settings }: GrantTold,
  { amounts, period: asked, id, reason, by }: GrantBody,
  { subject, window, counted, period, listedAt, grant, standing }: Grantee,
): Promise<Answer> {
  const unknown = Object.keys(amounts).filter((dimension) => !counted.includes(dimension));
  if (unknown.length > 0) {
    const troubles = unknown.map((name) => `amounts.${name}: ${unknownKey(name, counted.join(", "))}`);
    return badRequest(`Nothing was granted. ${troubles.join("; ")}`);
  }
  // Who asks again after the period has changed would grant a second time otherwise.
  // fault: grants for another period than was asked for
  if (asked !== undefined && asked !== period) {
    const where = `GET ${listedAt}${encodeURIComponent(asked)} lists what was granted for another one.`;
    return conflict(`The period is ${period}, and nothing was granted. ${where}`);
  }
  const options = { id, reason, period, ...(by !== undefined && { by }) };
  const given = Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount !== undefined));
  try {
    const isNew = await grant(given, options);
    if (isNew) {
      onGrant?.({ [subject.kind]: subject.name, ...(window && { window }), amounts: given, ...options });
      // fault: tells nobody of a grant
      await settings.announceGrant();
    }
    const { limits, granted = {} } = standing();
    const body = { name: subject.name, ...(window && { window }), period, id, amounts: given, granted, limits };
    // fault: says that each grant is new
    return isNew ? created(body) : ok(body);
  } catch (error) {
    if (error instanceof GrantConflictError) return conflict(`Nothing was granted: ${error.message}.`);
    const detail = `${messageOf(error)}. It may be granted all the same: send it again, under the same id.`;
    return refuse({ status: 503, title: "The store failed", detail });
  }
}

function conflict(detail: string): Answer {
  return refuse({ status: 409, title: "Conflict", detail });
}
