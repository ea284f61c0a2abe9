import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { migrationsFile, migrationsModule } from "../../../scripts/embed-scripts.ts";

describe("the modules of migrations", () => {
  it.each(["postgres", "sqlite"] as const)(
    "are what is in migrations/%s; if not, run: npx -y pnpm@12 embed",
    (dialect) => {
      const written = readFileSync(migrationsFile(dialect), "utf8");
      expect(written).toBe(migrationsModule(dialect));
      expect(written).toContain("0001_usage_tallies.sql");
    },
  );
});
