export { ModelRedis } from "./model-redis.ts";
export { Random } from "./random.ts";
export { SimulationFailure, type SimulationReport, simulate } from "./simulation.ts";
