import type { NamedTest } from "./mutation.ts";

/** Tests that catch mutations of several parts. */
export const SIMULATION: NamedTest = {
  file: "proofs/simulation/test/simulation.test.ts",
  title: "keep every promise in random runs",
};
export const EXACT_SIMULATION: NamedTest = {
  file: "proofs/simulation/test/simulation.test.ts",
  title: "pass no limit that is exact in random runs",
};
/** Of what the scripts do. */
export const MODEL: NamedTest = {
  file: "proofs/simulation/test/model-redis.test.ts",
  title: "answers and holds what the scripts on a real server do, after any commands",
};
/** The same, of what is granted. */
export const GRANTS: NamedTest = {
  file: MODEL.file,
  title: "grants, as the script does, what is left beside what others hold, and once what is asked for twice",
};
/** A schedule that is written down. */
export const schedule = (title: string): NamedTest => ({ file: "proofs/simulation/test/directed.test.ts", title });
/** The same, of an exact limit. */
export const exactSchedule = (title: string): NamedTest => ({
  file: "proofs/simulation/test/exact-schedules.test.ts",
  title,
});
export const SCHEDULES: NamedTest = {
  file: "apps/demo-proxy/test/schedules.test.ts",
  title: "keep every promise in random schedules of records, faults, restarts, late messages and months",
};
export const OUTAGES: NamedTest = {
  file: "packages/counter-redis/test/outages.test.ts",
  title: "%s, no count is lost or doubled, no view goes back, and all soon agree again",
};
export const FLEET_KILL: NamedTest = {
  file: "proofs/chaos/test/fleet.test.ts",
  title: "has all that it had shared stored by another one, at its second flush, and nothing that it had not recorded",
};
export const FLEET_FREEZE: NamedTest = {
  file: "proofs/chaos/test/fleet.test.ts",
  title: "changes nothing for the worse when it wakes: no count is lost, doubled or lowered",
};
export const FLEET_MONTH: NamedTest = {
  file: "proofs/chaos/test/fleet.test.ts",
  title: "count each use in one month, that of their own clock, and lose none",
};
/** Of processes with exact limits. */
export const exactFleet = (title: string): NamedTest => ({ file: "proofs/chaos/test/exact-fleet.test.ts", title });
export const EXACT_FLEET_HANGS: NamedTest = exactFleet(
  "use nothing while Redis hangs for longer than their leases, and then use all of it and no more",
);
