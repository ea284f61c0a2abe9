import { always, drop, instead, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const config = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/config/credentials.test.ts", title });
const limits = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/clients/client-limits.test.ts", title });
const calendars = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/clients/calendars.test.ts", title });
const thresholds = (title: string): NamedTest => ({
  file: "apps/demo-proxy/test/clients/client-thresholds.test.ts",
  title,
});

const COUNTED = "is counted in its windows like the backend, and refused before a backend is asked, while others go on";
const TOLD =
  "is told with each answer what is left to it, in place of what is left to the operator; others are told of that";
const CUT = "gets of an exact limit as much as there is and no more, whose room it ever is that ends";
const KEPT = "keeps what it used over a restart, and over reloads that change its plan, remove it and bring it back";

/** Usage and limits of the proxy's clients. */
export const CLIENT_MUTATIONS: readonly Mutation[] = [
  {
    name: "takes a client whose plan is unknown for one without limits",
    edit: instead("return [];"),
    caughtBy: [config("are refused where they cannot be meant: %s")],
  },
  {
    name: "takes limits of tokens that nobody counts",
    edit: never,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/rules/tokens.test.ts",
        title: "a limit of tokens of what counts none is refused, whatever others count",
      },
      {
        file: "apps/demo-proxy/test/rules/tokens.test.ts",
        title: "neither a limit nor a grant of tokens is taken by API for a backend that counts none",
      },
    ],
  },
  { name: "admits a client that is over its limit", edit: always, caughtBy: [limits(COUNTED)] },
  { name: "counts at the backend what passes, and not at the client", edit: drop, caughtBy: [limits(COUNTED)] },
  {
    name: "counts at a client what it never got",
    edit: drop,
    caughtBy: [
      limits("is charged for what it gets: nothing of what no backend takes, and once for what was sent to two"),
    ],
  },
  { name: "keeps a body within the room of its backend alone", edit: drop, caughtBy: [limits(CUT)] },
  { name: "takes requests of clients without knowing what they used before", edit: drop, caughtBy: [limits(KEPT)] },
  { name: "leaves clients with the limits of before", edit: drop, caughtBy: [limits(KEPT)] },
  { name: "forgets at once what a client used that is configured no more", edit: drop, caughtBy: [limits(KEPT)] },
  {
    name: "tells a client of the operator's account beside its own",
    edit: yields("[...headers]"),
    caughtBy: [limits(TOLD)],
  },
  {
    name: "tells nobody of clients",
    edit: instead("const watched: ReturnType<typeof clientUsage.storedTrackers> = [];"),
    caughtBy: [thresholds("are told once for each window, apart from those of a backend of the same name, and listed")],
  },
  {
    name: "gives an event of a client the id of one of a backend",
    edit: yields("{ id, client, ...event }"),
    caughtBy: [thresholds("are told once for each window, apart from those of a backend of the same name, and listed")],
  },
  {
    name: "goes on watching what counted clients before",
    edit: instead("const areSame = isSame;"),
    caughtBy: [
      thresholds("are told at once where a reload brings them, also to who is counted in another time zone then"),
    ],
  },
  {
    name: "flushes backends alone",
    edit: instead("await flusher.flush();"),
    caughtBy: [
      limits("compares what is counted of clients with what the store holds, by window, and POST /api/flush stores it"),
    ],
  },
  {
    name: "takes a time zone that there is not for UTC",
    edit: instead('return "UTC";'),
    caughtBy: [config("are refused where they cannot be meant: %s")],
  },
  {
    name: "begins days at midnight in UTC for whom they begin elsewhere",
    edit: yields("{ week: isoWeeks, day: utcDays }"),
    caughtBy: [calendars("are in periods of that zone, and told in seconds when the next one begins")],
  },
  {
    name: "lets who comes into other periods use again what is not stored yet",
    edit: drop,
    caughtBy: [
      calendars("go on in the same months and days where the zone is changed, also with what was not stored yet"),
    ],
  },
  {
    name: "keeps for good who is in other periods now",
    edit: drop,
    caughtBy: [
      calendars("go on in the same months and days where the zone is changed, also with what was not stored yet"),
    ],
  },
  {
    name: "takes who comes back for known",
    edit: instead("if (waits === undefined) return;"),
    caughtBy: [
      calendars("begin other months where the day is changed, and find those of before where it is changed back"),
    ],
  },
  { name: "does not store at last what clients used", edit: drop, caughtBy: [limits(KEPT)] },
];
