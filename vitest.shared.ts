import type { UserWorkspaceConfig } from "vitest/config";

/** Packages are tested from their sources: the `@usage/source` condition of their export maps, then Vite's own defaults. */
export const shared: UserWorkspaceConfig = {
  ssr: { resolve: { conditions: ["@usage/source", "module", "node", "development|production"] } },
  test: { include: ["test/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 120_000 },
};
