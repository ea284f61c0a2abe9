export { type CounterContractOptions, counterBackendContract } from "./counter-contract.ts";
export { ManualClock } from "./manual-clock.ts";
export { ODD_NAMES } from "./odd-names.ts";
export {
  type SharedCounterContractOptions,
  type SharedCounters,
  sharedCounterContract,
} from "./shared-counter-contract.ts";
export { type StoreContractOptions, type StoreUnderTest, usageStoreContract } from "./store-contract.ts";
