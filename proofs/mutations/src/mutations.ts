import { CLIENT_MUTATIONS } from "./client-mutations.ts";
import { COUNTER_MUTATIONS } from "./counter-mutations.ts";
import { CREDENTIALS_MUTATIONS } from "./credentials-mutations.ts";
import { DASHBOARD_MUTATIONS } from "./dashboard-mutations.ts";
import { EXACT_MUTATIONS } from "./exact-mutations.ts";
import { EXACT_PROXY_MUTATIONS } from "./exact-proxy-mutations.ts";
import { FORGIVE_MUTATIONS } from "./forgive-mutations.ts";
import { GRANT_MUTATIONS } from "./grant-mutations.ts";
import { HOLD_MUTATIONS } from "./hold-mutations.ts";
import { MIDDLEWARE_MUTATIONS } from "./middleware-mutations.ts";
import type { Mutation } from "./mutation.ts";
import { PROXY_GRANT_MUTATIONS } from "./proxy-grant-mutations.ts";
import { PROXY_MUTATIONS } from "./proxy-mutations.ts";
import { REDIS_MUTATIONS } from "./redis-mutations.ts";
import { RULE_MUTATIONS } from "./rule-mutations.ts";
import { SETTING_MUTATIONS } from "./setting-mutations.ts";
import { STORE_MUTATIONS } from "./store-mutations.ts";
import { THRESHOLD_MUTATIONS } from "./threshold-mutations.ts";
import { TRACKER_MUTATIONS } from "./tracker-mutations.ts";
import { WEBHOOK_MUTATIONS } from "./webhook-mutations.ts";
import { WINDOW_MUTATIONS } from "./window-mutations.ts";

/** docs/reliability.md says which promise each of them breaks. */
export const MUTATIONS: readonly Mutation[] = [
  ...COUNTER_MUTATIONS,
  ...HOLD_MUTATIONS,
  ...REDIS_MUTATIONS,
  ...EXACT_MUTATIONS,
  ...FORGIVE_MUTATIONS,
  ...STORE_MUTATIONS,
  ...TRACKER_MUTATIONS,
  ...WINDOW_MUTATIONS,
  ...GRANT_MUTATIONS,
  ...THRESHOLD_MUTATIONS,
  ...MIDDLEWARE_MUTATIONS,
  ...PROXY_MUTATIONS,
  ...CREDENTIALS_MUTATIONS,
  ...EXACT_PROXY_MUTATIONS,
  ...WEBHOOK_MUTATIONS,
  ...PROXY_GRANT_MUTATIONS,
  ...SETTING_MUTATIONS,
  ...DASHBOARD_MUTATIONS,
  ...CLIENT_MUTATIONS,
  ...RULE_MUTATIONS,
];
