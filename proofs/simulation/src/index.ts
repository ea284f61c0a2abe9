export { ModelRedis } from "./model-redis.ts";
export { ModelStore } from "./model-store.ts";
export { Random } from "./random.ts";
export { type SimulationReport, simulate } from "./simulation.ts";
export { SimulationFailure } from "./simulation-failure.ts";
