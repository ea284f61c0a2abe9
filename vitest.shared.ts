import { availableParallelism } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { UserWorkspaceConfig } from "vitest/config";

const DIRECT_IMPORTS = `--import=${pathToFileURL(join(import.meta.dirname, "scripts/direct-imports.mjs")).href}`;

/**
 * Packages are tested from their sources: the `@usage/source` condition of their export maps. All else is resolved as Node does
 * it: without Vite's `module`, behind which packages keep what only bundlers can load.
 * Time-outs are there to end what hangs, not to judge what is slow: the machine may be busy with anything.
 */
export const shared: UserWorkspaceConfig = {
  ssr: { resolve: { conditions: ["@usage/source", "node", "development|production"] } },
  test: {
    include: ["test/**/*.test.ts"],
    // No test changes what others import: a worker keeps it from one file to the next, which halves the work of small files.
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Most tests wait for servers and processes most of the time: one worker a core would leave the cores idle.
    maxWorkers: 2 * availableParallelism(),
    expect: { poll: { timeout: 30_000 } },
    execArgv: [DIRECT_IMPORTS],
    // Tests start some hundred processes of the same few scripts.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, ".cache/compiled"), NODE_OPTIONS: DIRECT_IMPORTS },
  },
};
