import { changesContract } from "./store-contract/changes-contract.ts";
import { foldContract } from "./store-contract/fold-contract.ts";
import { grantsContract } from "./store-contract/grants-contract.ts";
import { instancesContract } from "./store-contract/instances-contract.ts";
import { marksContract } from "./store-contract/marks-contract.ts";
import { mergingContract } from "./store-contract/merging-contract.ts";
import { namesContract } from "./store-contract/names-contract.ts";
import { noticesContract } from "./store-contract/notices-contract.ts";
import { readingContract } from "./store-contract/reading-contract.ts";
import { settingsContract } from "./store-contract/settings-contract.ts";
import type { StoreUnderTest, WithStore } from "./store-contract/subject.ts";
import { timelineContract } from "./store-contract/timeline-contract.ts";

export type { StoreUnderTest } from "./store-contract/subject.ts";

export interface StoreContractOptions {
  /** Makes an empty store. Called for each test. */
  create(): Promise<StoreUnderTest>;
  /** How many random schedules the laws are tried on. @default 10 */
  readonly schedules?: number;
}

/** What every `UsageStore` promises, as vitest tests. */
export function usageStoreContract(name: string, options: StoreContractOptions): void {
  const { create, schedules = 10 } = options;

  const withStore: WithStore = async (work) => {
    const tested = await create();
    try {
      await work(tested.store, tested);
    } finally {
      await tested.dispose();
    }
  };

  mergingContract(name, withStore, schedules);
  namesContract(name, withStore);
  readingContract(name, withStore);
  changesContract(name, withStore);
  foldContract(name, withStore);
  marksContract(name, withStore);
  grantsContract(name, withStore);
  noticesContract(name, withStore);
  timelineContract(name, withStore, schedules);
  instancesContract(name, withStore);
  settingsContract(name, withStore);
}
