import { instead } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const config = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/config/credentials.test.ts", title });

/** Usage and limits of the proxy's clients. */
export const CLIENT_MUTATIONS: readonly Mutation[] = [
  {
    name: "takes a client whose plan is unknown for one without limits",
    edit: instead("return [];"),
    caughtBy: [config("are refused where they cannot be meant: %s")],
  },
];
