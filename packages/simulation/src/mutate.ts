import { MUTATIONS } from "./mutations.ts";
import { tryMutation } from "./try-mutation.ts";

const SEEDS = 2_000;

for (const mutation of MUTATIONS) {
  const { caught, output } = await tryMutation(mutation, SEEDS);
  console.log(
    `${caught ? "caught" : "MISSED"}: ${mutation.name}\n    ${output.split("\n").find((line) => line.startsWith("seed")) ?? output}`,
  );
  if (!caught) process.exitCode = 1;
}
