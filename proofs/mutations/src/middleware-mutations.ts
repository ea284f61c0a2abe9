import { always, change, drop, instead, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const middleware = (title: string): NamedTest => ({
  file: "packages/tracker/test/middleware/middleware.test.ts",
  title,
});

/** Whom requests are charged to, and that they are. */
export const MIDDLEWARE_MUTATIONS: readonly Mutation[] = [
  {
    name: "brings in no tenant by itself",
    edit: yields("undefined as Promise<void> | undefined"),
    caughtBy: [middleware("takes 10,000 tenants that appear by themselves, and counts each request once")],
  },
  {
    name: "lets pass uncounted whom nobody can be charged for",
    edit: change(/return \{.*\};/, "return SKIPPED;"),
    caughtBy: [middleware("refuses with 403 whom nobody can be charged for: the key is %s")],
  },
  {
    name: "limits nobody of whom the plans know nothing",
    edit: change(/this\.defaults/, "{}"),
    caughtBy: [
      middleware(
        "gives the default limits to a tenant of whom the plans know nothing, and admits nobody where they fail",
      ),
    ],
  },
  {
    name: "takes for a fault of the server that it is not known what a tenant has used",
    edit: always,
    caughtBy: [
      middleware("refuses with 503 while it cannot be read what a tenant has used, and takes its next request"),
    ],
  },
  {
    name: "charges a client that left before it was admitted",
    edit: change(/isGone\(\)/, "false"),
    caughtBy: [middleware("charges nothing to a client that leaves before it was admitted, and runs no handler")],
  },
  {
    name: "keeps for good what was held for a client that left",
    edit: drop,
    caughtBy: [
      middleware("ends for a client that leaves while the handler says nothing, and for a handler that breaks off"),
    ],
  },
  {
    name: "counts nothing of what an answer used",
    edit: instead("hold.void();"),
    caughtBy: [
      middleware("charges a request whose handler throws, and lets settle see that"),
      middleware("charges what went out to a client that leaves in the middle, and says that it was not all"),
    ],
  },
];
