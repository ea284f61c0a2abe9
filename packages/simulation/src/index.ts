export { ModelRedis } from "./model-redis.ts";
export { type SimulationReport, simulate } from "./simulation.ts";
export { SimulationFailure } from "./simulation-failure.ts";
