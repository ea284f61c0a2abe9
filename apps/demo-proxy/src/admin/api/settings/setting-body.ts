import { z } from "zod";
import { expected, section } from "../../../config/schema/expected.ts";
import { limits } from "../../../config/schema/limits.ts";
import { clientLimits } from "../../../config/schema/plans.ts";
import { thresholds } from "../../../config/schema/webhooks.ts";
import { words } from "../grants/grant-body.ts";

const trail = { by: words("who changes it", 256).optional(), reason: words("a reason", 1_000).optional() };

const byWindow = section({ limits: clientLimits, ...trail });

/** What a PUT takes, by what it is about and setting. */
export const settingBodies = {
  backend: { limits: section({ limits, ...trail }), thresholds: section({ thresholds, ...trail }) },
  client: {
    limits: byWindow,
    plan: section({ plan: z.string(expected("the name of one of the plans, or null")).nullable(), ...trail }),
  },
  plan: { limits: byWindow },
} as const;

/** What says who takes a setting back, drains or resumes. */
export const trailBody = section(trail);
