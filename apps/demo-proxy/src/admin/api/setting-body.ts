import { section } from "../../config/schema/expected.ts";
import { limits } from "../../config/schema/limits.ts";
import { thresholds } from "../../config/schema/webhooks.ts";
import { words } from "./grant-body.ts";

const trail = { by: words("who changes it", 256).optional(), reason: words("a reason", 1_000).optional() };

/** What a PUT takes, by setting. */
export const settingBodies = {
  limits: section({ limits, ...trail }),
  thresholds: section({ thresholds, ...trail }),
};

/** What says who takes a setting back, drains or resumes. */
export const trailBody = section(trail);
