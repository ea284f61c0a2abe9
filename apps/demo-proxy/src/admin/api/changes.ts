import type { ClientUsage } from "../../clients/client-usage.ts";
import type { SettingSubject, SubjectKind } from "../../process/setting-subject.ts";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../problem.ts";
import { pageOf } from "../query-filters.ts";
import type { RouteRequest } from "../routes.ts";
import type { ApiParts } from "./api-parts.ts";
import { isKnownBackend } from "./known-backend.ts";
import { type ChangeParts, noSuch } from "./settings/setting-change.ts";
import { withStore } from "./with-store.ts";

export interface ChangesParts
  extends Pick<ChangeParts, "settings" | "isInFile">,
    Pick<ApiParts, "router" | "store" | "turns"> {
  readonly clientUsage: Pick<ClientUsage, "usage">;
}

const DEFAULT_LIMIT = 100;
const KINDS: readonly SubjectKind[] = ["backend", "client", "plan"];

/** Answers `GET /api/changes`: one page of who changed what, the latest first, grants included. */
export async function listChanges(parts: ChangesParts, { query }: RouteRequest): Promise<Answer> {
  const asked = KINDS.flatMap((kind): SettingSubject[] => {
    const name = query.get(kind);
    return name ? [{ kind, name }] : [];
  });
  if (asked.length > 1) return badRequest("Ask for one of backend, client and plan at a time.");
  const page = pageOf(query, DEFAULT_LIMIT);
  if (typeof page === "string") return badRequest(page);
  const { limit, offset } = page;
  const [only] = asked;
  return withStore(async () => {
    const [changed, granted] = await Promise.all([changesOf(parts, only), grantsOf(parts, only)]);
    const isEmpty = changed.length + granted.length === 0;
    if (isEmpty && only?.kind === "backend" && !(await isKnownBackend(parts, only.name))) return noSuch("backend");
    const isUnknown = only !== undefined && only.kind !== "backend" && !parts.isInFile(only);
    if (isEmpty && isUnknown) return noSuch(only.kind);
    const list = [...changed, ...granted].sort((a, b) => b.at - a.at || (b.revision ?? 0) - (a.revision ?? 0));
    const rows = list
      .slice(offset, offset + limit)
      .map((change) => ({ ...change, at: new Date(change.at).toISOString() }));
    return okBytes(
      await parts.turns.encode(jsonPieces({ total: list.length, offset, ...unusedOf(parts) }, "changes", rows)),
    );
  });
}

async function changesOf({ settings }: ChangesParts, only: SettingSubject | undefined) {
  const changes = await settings.trail();
  return changes
    .filter(({ subject }) => only === undefined || (subject.kind === only.kind && subject.name === only.name))
    .map(({ revision, subject, setting, before = null, value, by = null, reason = null, createdAt }) => {
      const after = { after: value ?? null, from: value === undefined ? "file" : "api" } as const;
      return { revision, [subject.kind]: subject.name, setting, before, ...after, by, reason, at: createdAt };
    });
}

async function grantsOf({ store, clientUsage }: ChangesParts, only: SettingSubject | undefined) {
  const granted = async (kind: "backend" | "client") => {
    if (only !== undefined && only.kind !== kind) return [];
    const from = kind === "backend" ? store : clientUsage.usage?.store;
    const grants = (await from?.grants?.(only ? { backend: only.name } : {})) ?? [];
    return grants.map(({ backend, id, period, amounts, by = null, reason, createdAt }) => {
      const after = { after: { id, period, amounts }, from: "api" } as const;
      return { revision: null, [kind]: backend, setting: "grant", before: null, ...after, by, reason, at: createdAt };
    });
  };
  return (await Promise.all([granted("backend"), granted("client")])).flat();
}

/** What was changed and is not in the file any more. */
function unusedOf({ settings, isInFile }: ChangesParts) {
  const unused = settings.overrides().filter(({ subject }) => !isInFile(subject));
  const namesOf = (kind: SubjectKind) => [
    ...new Set(unused.flatMap(({ subject }) => (subject.kind === kind ? subject.name : []))),
  ];
  return { unused: namesOf("backend"), unusedClients: namesOf("client"), unusedPlans: namesOf("plan") };
}
