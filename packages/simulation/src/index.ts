export { ModelRedis } from "./model-redis.ts";
export { SimulationFailure, type SimulationReport, simulate } from "./simulation.ts";
