import { change, drop, instead } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const webhook = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/webhooks/webhooks.test.ts", title });
const fleet = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/webhooks/fleet.test.ts", title });
const TOLD = webhook("is told of each threshold once, signed, with its headers, in JSON");
const TOLD_AGAIN = webhook("is told again after %s: the same event, under the same id");
const KILLED = fleet("has its delivery made by another, or by its next run, under the same id");
const SHOWN_RECEIVER: NamedTest = {
  file: "apps/demo-proxy/test/webhooks/receiver-page.test.ts",
  title: "the receiver that the page shows takes what is genuine, acts once on it, and refuses everything else",
};

export const WEBHOOK_MUTATIONS: readonly Mutation[] = [
  {
    name: "does not sign",
    edit: change(/secret !== undefined/, "false"),
    caughtBy: [TOLD, SHOWN_RECEIVER],
  },
  {
    name: "gives each delivery an id of its own",
    edit: change(/event\.id/, "crypto.randomUUID()"),
    caughtBy: [TOLD, fleet("tell each crossing under one id, once while all is well, at the usage that is stored")],
  },
  {
    name: "takes any answer for a delivery",
    edit: drop,
    caughtBy: [TOLD_AGAIN, webhook("is not followed to where it redirects"), KILLED],
  },
  {
    name: "waits for the end of an answer that says nothing more",
    edit: change(/signal: rest/, "signal"),
    caughtBy: [webhook("has been told once its status has come, however long the rest of its answer takes")],
  },
  {
    name: "takes a failed delivery for a good one",
    edit: drop,
    caughtBy: [TOLD_AGAIN, webhook("is told when it is back")],
  },
  {
    name: "goes on with an attempt that is given up",
    edit: change(/, late/, ""),
    caughtBy: [webhook("is given up on for this attempt when it hangs, and holds up nobody else")],
  },
  {
    name: "lets a webhook that hangs hold up the end",
    edit: change(/ending\.abort\(\)/, "{}"),
    caughtBy: [webhook("does not hold up the end of the proxy, and is told by the next run")],
  },
  {
    name: "lets go of the store while webhooks are told",
    edit: drop,
    caughtBy: [webhook("is let answer when the proxy ends, and then not told again")],
  },
  {
    name: "gives all backends the same thresholds",
    edit: change(/own\.get\(backend\) \?\? /, ""),
    caughtBy: [webhook("is told by the thresholds of the backend, where that has its own")],
  },
  {
    name: "goes on telling the webhooks of before",
    edit: drop,
    caughtBy: [
      webhook("takes over webhooks: what is owed goes to the new address, and who is new is told all of this period"),
      webhook("takes over thresholds: those that are already reached are told now"),
    ],
  },
  {
    name: "lets a backend's name call everybody",
    edit: instead("return text;"),
    caughtBy: [webhook("gets a sentence where it is Slack's, in which a name calls nobody")],
  },
  {
    name: "shows the secret of a webhook",
    edit: change(/secret !== undefined/, "secret"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/secrets.test.ts",
        title: "is in no line of the log and in no answer of the admin listener",
      },
    ],
  },
  {
    name: "does not measure that exact limits cannot be asked for",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/exact-limits.test.ts",
        title: "admit what was granted while they are cut off, then refuse with 503, and go on afterwards",
      },
    ],
  },
];
