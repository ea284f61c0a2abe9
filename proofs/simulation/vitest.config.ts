import { fileURLToPath } from "node:url";
import { defineProject, mergeConfig } from "vitest/config";
import { shared } from "../../vitest.shared.ts";

const globalSetup = fileURLToPath(import.meta.resolve("@usage/test-servers/redis-setup"));

export default defineProject(mergeConfig(shared, { test: { globalSetup } }));
