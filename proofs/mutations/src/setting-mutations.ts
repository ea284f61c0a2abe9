import { always, change, drop, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const settings = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/admin/api/settings.test.ts", title });
const clients = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/clients/client-settings.test.ts", title });
const panels = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/dashboard/panels.test.ts", title });
const stored = (dialect: "sqlite" | "postgres", title: string): NamedTest => ({
  file: `packages/store-drizzle/test/${dialect}-contract.test.ts`,
  title,
});

const FOLLOWS = "takes a change only where it follows the last one of its setting";
const REPLACES = "keeps the last one alone of those that replace what was before them, also of many at once";

const FLEET: NamedTest = {
  file: "apps/demo-proxy/test/compose-redis.test.ts",
  title:
    "are in force at the others, for one of two who change at once, after a restart, and as they were while the store is away",
};

const REPLACED: NamedTest = {
  file: "apps/demo-proxy/test/process/settings.test.ts",
  title: "what was changed is stored again where the store is replaced, and what is changed there is in force",
};

/** What operators change by API, in place of what the file says. */
export const SETTING_MUTATIONS: readonly Mutation[] = [
  {
    name: "SQLite overwrites what another has changed meanwhile",
    edit: yields("sql`true`"),
    caughtBy: [stored("sqlite", FOLLOWS)],
  },
  {
    name: "Postgres overwrites what another has changed meanwhile",
    edit: yields("sql`true`"),
    caughtBy: [stored("postgres", FOLLOWS), FLEET],
  },
  {
    name: "keeps what a change replaces",
    edit: drop,
    caughtBy: [stored("sqlite", REPLACES)],
  },
  {
    name: "the store in memory keeps what a change replaces",
    edit: drop,
    caughtBy: [{ file: "packages/counter-core/test/store-contract.test.ts", title: REPLACES }],
  },
  {
    name: "never hears of what other instances have changed",
    edit: drop,
    caughtBy: [
      settings(
        "win over the file until they are taken back, in the whole fleet, and after a restart; the trail says who and when",
      ),
      FLEET,
      {
        file: "apps/demo-proxy/test/exact-limits.test.ts",
        title:
          "take limits over that are changed by API under load: lowered, not passed from then on; raised, used to the last unit",
      },
    ],
  },
  {
    name: "forgets a change that could not be taken over",
    edit: change(/take\(\)/, "take().catch(() => {})"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/process/settings.test.ts",
        title: "a change by API that cannot be taken over is tried again until it is",
      },
    ],
  },
  {
    name: "goes on with the numbers of a store that was replaced",
    edit: always,
    caughtBy: [REPLACED],
  },
  {
    name: "does not store again what was changed in a store that was replaced",
    edit: drop,
    caughtBy: [REPLACED],
  },
  {
    name: "hears of no grant while changes cannot be taken over",
    edit: change(/,\s*(takeOver\(this\.#news\.grants, heard\.granted\)),?/, ".then(() => $1)"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/process/settings.test.ts",
        title: "a grant of others is heard of while changes by API cannot be taken over, or are waited for",
      },
    ],
  },
  {
    name: "begins with what the file says, whatever was changed by API",
    edit: drop,
    caughtBy: [settings("keep a drain beyond a restart, until it is resumed"), FLEET],
  },
  {
    name: "keeps a change, and goes on as before",
    edit: drop,
    caughtBy: [
      settings("of another instance are in force where somebody who has not seen them is refused, who is told them"),
    ],
  },
  {
    name: "begins with limits by API of what is not counted any more",
    edit: yields("amounts"),
    caughtBy: [
      settings("keep no proxy from its start where the file does not count any more what they limit, which is said"),
    ],
  },
  {
    name: "brings clients into the windows of the file alone",
    edit: change(/\(next\)/, "(file)"),
    caughtBy: [
      clients(
        "win over the file until they are taken back, in the whole fleet within two seconds, and after a restart",
      ),
    ],
  },
  {
    name: "takes a plan by API that there is not",
    edit: always,
    caughtBy: [
      clients("are refused where they cannot be meant, with what, where and what to do, and nothing is changed"),
    ],
  },
  {
    name: "lets a client go without limits whose plan by API is gone",
    edit: yields("own"),
    caughtBy: [clients("leave a client within limits when its plan is gone from the file, and say so")],
  },
  {
    name: "takes a client into a window without knowing what it used there",
    edit: drop,
    caughtBy: [
      clients("never open a limit while what was used in a new window cannot be read, and are in force once it can"),
    ],
  },
  {
    name: "saves typed limits over what somebody else has changed meanwhile",
    edit: change(/`"\$\{this\.#seen\}"`/, '"*"'),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/dashboard/limits.test.ts",
        title: "typed limits never overwrite another operator's change, which is shown beside them",
      },
      panels("a client's plan and limits are changed where it stands, and never over another operator's change"),
    ],
  },
  {
    name: "folds away what another operator has changed",
    edit: drop,
    caughtBy: [
      panels("a client's plan and limits are changed where it stands, and never over another operator's change"),
    ],
  },
];
