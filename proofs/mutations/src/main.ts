import { keyOf } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";
import { runTests } from "./run-tests.ts";
import { TreeCopy } from "./tree-copy.ts";
import { tryMutation } from "./try-mutation.ts";

const USAGE = `usage: pnpm mutate [PART...]

Breaks the code in one place after the other, in a copy of the tree, and runs the tests that must notice.
PART: only mutations whose names contain one of these.`;

const parts = process.argv.slice(2);
const mutations = MUTATIONS.filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)));
if (mutations.length === 0) {
  console.error(`${USAGE}\n\nno mutation has any of this in its name: ${parts.join(", ")}`);
  process.exit(2);
}

await using copy = await TreeCopy.make();
const tests = new Map(mutations.flatMap(({ caughtBy }) => caughtBy).map((test) => [keyOf(test), test]));
console.log(`${tests.size} tests on sound code`);
const sound = await runTests(copy.folder, [...tests.values()]);
for (const [test, { state, message }] of sound) {
  if (state !== "passed") console.log(`${state} on sound code: ${test}\n      ${message}`);
}
let caught = 0;
for (const mutation of mutations) {
  const verdict = await tryMutation(copy, mutation);
  // What fails anyway catches nothing.
  const isCaught = verdict.caught && mutation.caughtBy.every((test) => sound.get(keyOf(test))?.state === "passed");
  console.log(`${isCaught ? "caught" : "MISSED"}: ${mutation.name}\n    ${verdict.said.join("\n    ")}`);
  if (isCaught) caught += 1;
}
console.log(`${caught} of ${mutations.length} mutations were caught`);
if (caught < mutations.length) process.exitCode = 1;
