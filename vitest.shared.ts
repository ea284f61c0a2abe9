import type { UserWorkspaceConfig } from "vitest/config";

/**
 * Packages are tested from their sources: the `@usage/source` condition of their export maps, then Vite's own defaults.
 * Time-outs are there to end what hangs, not to judge what is slow: the machine may be busy with anything.
 */
export const shared: UserWorkspaceConfig = {
  ssr: { resolve: { conditions: ["@usage/source", "module", "node", "development|production"] } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
};
