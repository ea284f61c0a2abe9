import { z } from "zod";
import { CLIENT_WINDOWS } from "../../../clients/client-windows.ts";
import { amounts, count, maybeInstant, maybeText } from "../../openapi/operation.ts";

const from = z.enum(["file", "api"]).meta({ description: "Where it comes from." });

/** A setting of a backend, and where it comes from. */
export function settingOf(value: z.ZodType) {
  return z.object({ from, value: value.nullable(), revision: count, by: maybeText, at: maybeInstant });
}

export const parts = z.array(z.number()).meta({ description: "Parts of a limit, in ascending order." });

export const settings = z
  .object({ limits: settingOf(amounts), thresholds: settingOf(parts), drained: settingOf(z.boolean()) })
  .meta({ id: "Settings", description: "Those in force, and where each comes from." });

export const byWindow = z.partialRecord(z.enum(CLIENT_WINDOWS), amounts);

export const plan = z.string().meta({ description: "Null: none." });

export const clientSettings = z
  .object({ limits: settingOf(byWindow), plan: settingOf(plan) })
  .meta({ id: "ClientSettings", description: "Those in force, and where each comes from." });

export const planSettings = z
  .object({ limits: settingOf(byWindow) })
  .meta({ id: "PlanSettings", description: "Those in force, and where each comes from." });
