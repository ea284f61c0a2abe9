import { change, drop, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const grants = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/admin/api/grants.test.ts", title });
const toClients = (title: string): NamedTest => ({
  file: "apps/demo-proxy/test/clients/client-settings.test.ts",
  title,
});
const RAISES = grants(
  "raises a limit that is used up until its period ends, once for each id, and says what it is then",
);

/** What operators grant through the proxy. */
export const PROXY_GRANT_MUTATIONS: readonly Mutation[] = [
  {
    name: "says that each grant is new",
    edit: change(/isNew \? created\(body\) : ok\(body\)/, "created(body)"),
    caughtBy: [RAISES, grants("answers 503 while the store fails, and grants once when it is sent again")],
  },
  {
    name: "grants for another period than was asked for",
    edit: never,
    caughtBy: [
      grants("grants nothing for another period than the one that is named"),
      toClients("grants nothing that cannot be meant"),
    ],
  },
  {
    name: "grants in a window that is not stored",
    edit: never,
    caughtBy: [toClients("grants nothing that cannot be meant")],
  },
  {
    name: "tells nobody of a grant",
    edit: drop,
    caughtBy: [
      toClients("raises a limit of a client for one period of one window, once, in the whole fleet within two seconds"),
    ],
  },
  {
    name: "reads a body of any length",
    edit: never,
    caughtBy: [grants("reads no more than 16 KiB of a body, and none of who may not grant")],
  },
  {
    name: "does not tell what was granted from the limit",
    edit: yields("{}"),
    caughtBy: [
      RAISES,
      {
        file: "apps/demo-proxy/test/dashboard/page.test.ts",
        title: "shows what was granted as part of the limit, why, and takes it from there without a reload",
      },
    ],
  },
];
