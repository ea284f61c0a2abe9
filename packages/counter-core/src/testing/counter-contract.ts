import type { CounterBackend } from "../counter.ts";
import { countsContract } from "./counter-contract/counts-contract.ts";
import { creditContract } from "./counter-contract/credit-contract.ts";
import { holdsContract } from "./counter-contract/holds-contract.ts";
import { openContract } from "./counter-contract/open-contract.ts";
import { periodsContract } from "./counter-contract/periods-contract.ts";
import type { WithCounter } from "./counter-contract/subject.ts";
import { talliesContract } from "./counter-contract/tallies-contract.ts";
import { ManualClock } from "./manual-clock.ts";

export interface CounterContractOptions {
  /**
   * A fresh counter of the storage dimensions and UTC months, that shares its counts with no other. `clock` is the only
   * time it may know.
   */
  readonly create: (backends: readonly string[], clock: ManualClock) => CounterBackend | Promise<CounterBackend>;
  /** Whether backends may come that were not named at the start. @default true */
  readonly isOpen?: boolean;
  /** Called after each test with its counter. */
  readonly dispose?: (counter: CounterBackend) => void | Promise<void>;
}

const START = "2026-01-15T12:00:00Z";

/** What every `CounterBackend` promises, as vitest tests. */
export function counterBackendContract(name: string, options: CounterContractOptions): void {
  const { create, dispose, isOpen = true } = options;

  const withCounter: WithCounter = async (work, backends = ["oci", "b2"]) => {
    const clock = new ManualClock(START);
    const counter = await create(backends, clock);
    try {
      await work(counter, clock);
    } finally {
      await dispose?.(counter);
    }
  };

  countsContract(name, withCounter);
  holdsContract(name, withCounter);
  talliesContract(name, withCounter);
  if (isOpen) openContract(name, withCounter);
  creditContract(name, withCounter);
  periodsContract(name, withCounter);
}
