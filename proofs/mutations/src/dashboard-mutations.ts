import { never } from "./edits.ts";
import type { Mutation } from "./mutation.ts";

/** What operators are shown. */
export const DASHBOARD_MUTATIONS: readonly Mutation[] = [
  {
    name: "counts no refusal",
    edit: never,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/admin/api/refusals.test.ts",
        title: "GET /api/usage says how many requests no backend served and why, and what each backend did not take",
      },
    ],
  },
  {
    name: "promises when a limit is reached where nothing is on its way there",
    edit: never,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/admin/api/live-report.test.ts",
        title: "a backend that takes requests is projected at its average, one that takes none at what it still does",
      },
    ],
  },
];
