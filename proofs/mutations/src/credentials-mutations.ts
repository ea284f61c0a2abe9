import { change, drop, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const credentials = (file: string, title: string): NamedTest => ({
  file: `apps/demo-proxy/test/credentials/${file}.test.ts`,
  title,
});
const s3 = (title: string): NamedTest => credentials("s3-clients", title);
const DROPPED = credentials("llm-clients", "is dropped on the way to %s");
const CHANGED = credentials("signed-chunks", "that was changed %s is refused, and no store takes it for whole");

export const CREDENTIALS_MUTATIONS: readonly Mutation[] = [
  {
    name: "counts what a WebSocket costs only when it ends",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/credentials/websockets.test.ts",
        title: "a WebSocket costs what rules say of it as soon as it is open",
      },
    ],
  },
  {
    name: "lets pages of any site use the credentials of a provider",
    edit: never,
    caughtBy: [
      credentials(
        "foreign-pages",
        "a page of another site spends nothing, whether it could read the answer or not, unless cors.origins names it",
      ),
    ],
  },
  {
    name: "lets pages use the credentials of a provider by a name that was made to point here",
    edit: never,
    caughtBy: [
      credentials(
        "foreign-pages",
        "a page that made its name point here gets nothing, and what is called by its own names all",
      ),
    ],
  },
  {
    name: "lets pages of any site use passwords that a browser knows",
    edit: never,
    caughtBy: [
      credentials("websockets", "opens no WebSocket by credentials that are not its own, unless cors.origins names it"),
    ],
  },
  {
    name: "sends a client's own key along as a subprotocol",
    edit: never,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/credentials/websockets.test.ts",
        title: "opens a WebSocket by the proxy's token, and what it sent for itself reaches nobody: %s",
      },
    ],
  },
  { name: "hands a client's own credentials to a provider", edit: drop, caughtBy: [DROPPED] },
  { name: "sends keys of the proxy's own to backends", edit: yields("request"), caughtBy: [DROPPED] },
  {
    name: "lets whoever reaches it use the credentials of a provider",
    edit: never,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/config/credentials.test.ts",
        title: "lets nobody use a provider's credentials without a key of its own: %s",
      },
    ],
  },
  {
    name: "takes every key for that of a client",
    edit: yields('{ name: "anybody" }'),
    caughtBy: [credentials("llm-clients", "that the proxy does not know is refused at once, in words: %s")],
  },
  { name: "takes whoever names a client for that client", edit: never, caughtBy: [s3("by another key")] },
  {
    name: "takes requests that were signed whenever",
    edit: change(/> SKEW_MS/, "> Number.MAX_VALUE"),
    caughtBy: [s3("that is sent again later than 15 minutes after it was made, or before")],
  },
  {
    name: "takes links that have expired",
    edit: yields("undefined"),
    caughtBy: [s3("of a link that has expired, and of one of another time")],
  },
  {
    name: "takes headers that are not signed",
    edit: drop,
    caughtBy: [s3("that does not cover a header of S3")],
  },
  { name: "takes chunks for signed that somebody else has written", edit: never, caughtBy: [CHANGED] },
  { name: "sends the end of a body before its signatures are verified", edit: never, caughtBy: [CHANGED] },
  {
    name: "tells clients what a backend says of the proxy's credentials",
    edit: drop,
    caughtBy: [
      s3("the client is told so, and nothing of the account"),
      credentials("llm-clients", "learns nothing of a token that the provider does not accept"),
    ],
  },
  {
    name: "has backends show the proxy's credentials to clients",
    edit: drop,
    caughtBy: [credentials("llm-clients", "is not sent where the backend would send it back")],
  },
  {
    name: "leads clients to a provider by a link that the proxy has signed",
    edit: yields("headers"),
    caughtBy: [s3("nobody is handed a link that the proxy has signed")],
  },
  {
    name: "shows a secret to whoever prints it",
    edit: yields("this.reveal()"),
    caughtBy: [
      credentials(
        "secrets",
        "are not in the configuration as whoever dumps it sees it, and of a client's key no more than a hash is kept",
      ),
    ],
  },
  {
    name: "goes on taking keys that are gone",
    edit: drop,
    caughtBy: [credentials("secrets", "are taken over while the proxy runs")],
  },
];
