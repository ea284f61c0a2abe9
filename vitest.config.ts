import { defineConfig } from "vitest/config";
import { BaseSequencer, type Reporter, type TestSpecification } from "vitest/node";

/** Ends the run with one line that says how it went, for people and for machines. */
const closingLine: Reporter = {
  onTestRunEnd(modules, errors) {
    const results = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state));
    const passed = results.filter((state) => state === "passed").length;
    const broken = modules.filter((module) => module.state() === "failed" && module.errors().length > 0).length;
    const failed = results.length - passed + broken + errors.length;
    console.log(`${passed} passed, ${failed} failed`);
  },
};

/** What takes longest begins first: nothing waits at the end for one file alone. */
class LongestFirst extends BaseSequencer {
  static readonly #LONG =
    /(simulation|mutations|run-chaos|left-behind|admin-fuzz|packed|bundles|production-folder|fleet|main|main-redis|versions|page|usability|webhooks|streaming|demo|exact-faults|postgres-failover|postgres-contract)\.test\.ts$/;

  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean => LongestFirst.#LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    projects: ["packages/*", "apps/*", "proofs/*", "examples"],
    reporters: ["default", closingLine],
    sequence: { sequencer: LongestFirst },
  },
});
