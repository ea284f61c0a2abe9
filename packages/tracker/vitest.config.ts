import { defineProject, mergeConfig } from "vitest/config";
import { shared } from "../../vitest.shared.ts";

export default defineProject(mergeConfig(shared, { test: { execArgv: ["--expose-gc"] } }));
