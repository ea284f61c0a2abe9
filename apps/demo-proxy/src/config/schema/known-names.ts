import { STORAGE_DIMENSIONS } from "@usage/counter-core";
import type { z } from "zod";
import { CLIENT_WINDOWS } from "../../clients/client-windows.ts";
import { TOKEN_DIMENSIONS, uncountedAt } from "../../counting/dimensions.ts";
import { nearMiss } from "../near-miss.ts";
import { shown } from "./expected.ts";

// These also run when something else in the file is wrong, so that one reading of it finds everything: nothing is sure to be as it should.

/** Limits of what nobody counts. */
export function refuseUnknownDimensions(file: unknown, context: z.core.$RefinementCtx): void {
  const { dimensions } = fieldsOf(file);
  const backends = listOf(fieldsOf(file).backends).map(fieldsOf);
  const own = dimensions instanceof Map ? [...dimensions.keys()] : Object.keys(fieldsOf(dimensions));
  const tokens = backends.some(({ tokens }) => tokens !== undefined) ? TOKEN_DIMENSIONS : [];
  const tokenNames: readonly string[] = TOKEN_DIMENSIONS;
  const known: readonly unknown[] = [...STORAGE_DIMENSIONS, ...own, ...tokens];
  for (const [path, limits, backend] of limitsIn(file)) {
    for (const key of Object.keys(fieldsOf(limits))) {
      const message = uncountedAt({ tokens: backend === undefined ? tokens[0] : backend.tokens }, key);
      if (message !== undefined) context.addIssue({ code: "custom", path: [...path, key], message });
    }
    // Of `__proto__`, which is no name at all, the schema of the limits says so.
    const keys = Object.keys(fieldsOf(limits)).filter(
      (key) => key !== "__proto__" && !known.includes(key) && !tokenNames.includes(key),
    );
    if (keys.length === 0) continue;
    const message = known.join(", ");
    context.addIssue({ code: "unrecognized_keys", keys, path: [...path], message, input: { ...fieldsOf(limits) } });
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** All limits of a file, and where they are: of backends, of clients and plans by window. */
function* limitsIn(
  file: unknown,
): Generator<readonly [path: readonly (string | number)[], limits: unknown, backend?: Fields]> {
  const { backends, clients, plans } = fieldsOf(file);
  for (const [index, backend] of listOf(backends).entries()) {
    yield [["backends", index, "limits"], fieldsOf(backend).limits, fieldsOf(backend)];
  }
  for (const [index, client] of listOf(clients).entries()) {
    const windows = Object.entries(fieldsOf(fieldsOf(client).limits));
    for (const [window, limits] of windows) yield [["clients", index, "limits", window], limits];
  }
  for (const [name, plan] of plans instanceof Map ? plans : Object.entries(fieldsOf(plans))) {
    // What else it says is no limit.
    for (const window of CLIENT_WINDOWS) yield [["plans", name, window], fieldsOf(plan)[window]];
  }
}

/** Rules that name backends that are not there, or one twice; and backends that no rule gives a request. */
export function refuseUnknownBackends(file: unknown, context: z.core.$RefinementCtx): void {
  const { routes, backends } = fieldsOf(file);
  if (!Array.isArray(routes)) return;
  const names = listOf(backends).map((backend) => fieldsOf(backend).name);
  const known = names.filter((name) => typeof name === "string");
  const routed = new Set<unknown>();
  for (const [index, route] of routes.entries()) {
    const given = listOf(fieldsOf(route).backends);
    for (const [place, name] of given.entries()) {
      const message = typeof name === "string" ? troubleOf(name, known, given.indexOf(name) < place) : undefined;
      if (message !== undefined)
        context.addIssue({ code: "custom", path: ["routes", index, "backends", place], message });
      routed.add(name);
    }
    const { match } = fieldsOf(route);
    const isLast = index === routes.length - 1;
    if (!isLast && Object.keys(fieldsOf(match)).length === 0) {
      const message = "is for every request, so that the rules after it are for none; put it last, or give it a match";
      context.addIssue({ code: "custom", path: ["routes", index], message });
    }
  }
  for (const [index, name] of names.entries()) {
    if (typeof name !== "string" || routed.has(name)) continue;
    const message = `${shown(name)} is in no rule of routes, and would get no request; name it there`;
    context.addIssue({ code: "custom", path: ["backends", index, "name"], message });
  }
}

function troubleOf(name: string, known: readonly string[], isTwin: boolean): string | undefined {
  if (isTwin) return `${shown(name)} is named twice; name it once`;
  if (known.includes(name)) return undefined;
  const guess = nearMiss(name, known);
  const hint = guess === undefined ? ";" : `, did you mean ${guess}?`;
  return `${shown(name)} is no backend${hint} there are: ${known.join(", ")}`;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
