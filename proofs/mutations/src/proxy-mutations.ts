import { always, before, change, drop, instead, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const main = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/main.test.ts", title });
const own = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/proxy/own-addresses.test.ts", title });
const proxy = (file: string, title: string): NamedTest => ({
  file: `apps/demo-proxy/test/proxy/${file}.test.ts`,
  title,
});
const ABORTED = proxy(
  "aborted-downloads",
  "a client that reads nothing and goes away is charged what had come from the upstream, %s",
);
const CUT = proxy(
  "aborted-downloads",
  "what had come for a request that is cut at the end is counted before the last flush",
);
const KEPT = proxy("failover", "has it sent again, once and on a new one, and blames nobody: %s");
const admin = (file: string, title: string): NamedTest => ({
  file: `apps/demo-proxy/test/admin/${file}.test.ts`,
  title,
});
const REPAIR: NamedTest = {
  file: "apps/demo-proxy/test/repair.test.ts",
  title: "is shown, and set right in the store and in Redis by one command, once every instance is stopped",
};
const llm = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/proxy/llm-clients.test.ts", title });
const slow = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/proxy/slow-bodies.test.ts", title });
const live = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/process/live-config.test.ts", title });
const health = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/proxy/health.test.ts", title });
const secret = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/secrets.test.ts", title });
const NEVER_SHOWN = secret("is in no line of the log and in no answer of the admin listener");
const CONTINUES = main("continues where the store stands when it starts again");

const tls = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/tls-listener.test.ts", title });

const ws = (title: string): NamedTest => proxy("websockets", title);

export const PROXY_MUTATIONS: readonly Mutation[] = [
  {
    name: "projects from one request",
    edit: never,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/admin/api/month-end.test.ts",
        title: "says nothing from one request, from too few days, or from days without use",
      },
    ],
  },
  {
    name: "takes an instance that was killed for a living one",
    edit: yields("false"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/admin/api/instances.test.ts",
        title: "tells who is there, what each counted, and when it was last heard of, whether it ended or was killed",
      },
    ],
  },
  {
    name: "waits for ever for a Sentinel that hangs",
    edit: yields("2 ** 31 - 1"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-sentinel.test.ts",
        title:
          "a master that is lost with its last writes costs no count, and lets no limit be passed: Sentinels name the next one",
      },
    ],
  },
  {
    name: "counts nothing of what a WebSocket carries",
    edit: drop,
    caughtBy: [ws("messages of any length pass both ways %s, and count to the byte as the upstream's socket has them")],
  },
  {
    name: "leaves clients of a WebSocket without a word",
    edit: drop,
    caughtBy: [
      ws(
        "within exact limits a WebSocket passes what there is room for, and is closed with 1008 on that: both sides get never more",
      ),
    ],
  },
  {
    name: "lets a WebSocket go on above a limit",
    edit: never,
    caughtBy: [ws("a limit that is reached elsewhere closes a WebSocket that is open, where limits may be passed")],
  },
  {
    name: "counts a WebSocket in the month in which it was opened, for ever",
    edit: drop,
    caughtBy: [ws("what passes through a WebSocket in a later month than that of its opening counts in that")],
  },
  {
    name: "reads on from a WebSocket whatever the other side reads",
    edit: never,
    caughtBy: [ws("nobody is sent more than it reads, either way, and all of it arrives")],
  },
  {
    name: "keeps a WebSocket open that nobody uses",
    edit: yields("false"),
    caughtBy: [
      ws("a WebSocket through which nothing passes for too long is closed with 1001, and a ping is something"),
    ],
  },
  {
    name: "leaves a WebSocket open whose backend drains",
    edit: drop,
    caughtBy: [
      ws(
        "a WebSocket whose backend drains is closed with 1001 once the grace is over, on both sides, and its backend is free",
      ),
    ],
  },
  {
    name: "leaves WebSockets open where a backend was before",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/process/live-config.test.ts",
        title: "says how long WebSockets of a backend that drains or moves stay open, at the start and while it runs",
      },
    ],
  },
  {
    name: "tells nobody of a WebSocket that the proxy shuts down",
    edit: drop,
    caughtBy: [
      ws(
        "when the proxy shuts down both sides are told so with 1001, where their frames end, and nobody waits for the grace",
      ),
    ],
  },
  {
    name: "takes a body for what comes through a WebSocket",
    edit: never,
    caughtBy: [ws("%s opens nothing, and nothing behind it is sent")],
  },
  {
    name: "believes any answer that protocols were switched",
    edit: yields("true"),
    caughtBy: [ws("101 %s opens nothing: the client gets 502")],
  },
  {
    name: "goes on showing the certificate of before",
    edit: drop,
    caughtBy: [tls("show another certificate from the next connection on, and go on with those that are open")],
  },
  {
    name: "says of TLS that it was none",
    edit: yields('"http"'),
    caughtBy: [tls("speak HTTP/1.1 over TLS 1.2 and later, tell backends so, and count bodies without it")],
  },
  {
    name: "waits at the end for who has not agreed on TLS",
    edit: drop,
    caughtBy: [tls("speak HTTP/1.1 over TLS 1.2 and later, tell backends so, and count bodies without it")],
  },
  {
    name: "takes any key for that of the certificate",
    edit: never,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/config/tls-files.test.ts",
        title: "that a listener cannot use are told with what to do: %s",
      },
    ],
  },
  {
    name: "waits at the start for a certificate that it does not trust",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/trusted-servers.test.ts",
        title: "%s is not waited for at the start, and the setting to look at is told",
      },
    ],
  },
  {
    name: "waits at the start for Sentinels that refuse",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/trusted-servers.test.ts",
        title:
          "is found by a Sentinel, with passwords of both, that speaks TLS as it does; one that refuses is not waited for",
      },
    ],
  },
  {
    name: "connects to a database that nobody vouches for",
    edit: always,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/trusted-servers.test.ts",
        title: "that speaks TLS is trusted by the ca of the configuration, and by it alone",
      },
    ],
  },
  {
    name: "leaves limits of 0 out of the configuration",
    edit: change(/limit !== undefined/, "limit"),
    caughtBy: [{ file: "apps/demo-proxy/test/config/read-config.test.ts", title: "takes every setting" }],
  },
  {
    name: "repairs while somebody counts",
    edit: never,
    caughtBy: [REPAIR],
  },
  {
    name: "repairs the store and not Redis",
    edit: drop,
    caughtBy: [REPAIR],
  },
  {
    name: "takes what is too much from the earliest hours",
    edit: change(/b\.hour\.getTime\(\) - a\.hour/, "a.hour.getTime() - b.hour"),
    caughtBy: [{ file: REPAIR.file, title: "takes what is too much from the latest hours, on %s" }],
  },
  {
    name: "flushes the last time while requests still run",
    edit: change(/^const \{ cut \} = await (.*)/, "$1 const cut = 0;"),
    caughtBy: [main("lets running requests end, stores everything, and exits 0")],
  },
  {
    name: "closes before load balancers know",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/process/shutdown.test.ts",
        title: "says that it is not ready, and takes requests until the delay is over",
      },
    ],
  },
  {
    name: "takes a reference for a text",
    edit: drop,
    caughtBy: [secret("is what the reference stands for, and not its text: %s")],
  },
  {
    name: "takes a variable that is not set for an empty one",
    edit: always,
    caughtBy: [secret("keeps the proxy from starting where it stands for nothing")],
  },
  {
    name: "shows the path of an upstream",
    edit: instead("return origin + pathname;"),
    caughtBy: [NEVER_SHOWN],
  },
  {
    name: "shows what a reference stands for",
    edit: always,
    caughtBy: [NEVER_SHOWN],
  },
  {
    name: "lets go of Redis and the database before the last flush",
    edit: before("await closeParts();"),
    caughtBy: [
      {
        file: "apps/demo-proxy/test/redis-shutdown.test.ts",
        title: "closes its listener, then flushes, then lets go of Redis and the database",
      },
    ],
  },
  {
    name: "flushes only at the end",
    edit: drop,
    caughtBy: [CONTINUES],
  },
  {
    name: "listens without knowing what was used before",
    edit: instead(
      "await counter.ensure(limits.keys(), async () => [], { limitsOf: (name) => limits.get(name) ?? {} });",
    ),
    caughtBy: [
      CONTINUES,
      {
        file: "apps/demo-proxy/test/compose.test.ts",
        title: "knows what the store holds, so that a limit that is used up stays closed",
      },
    ],
  },
  {
    name: "takes an upstream's own address for another's",
    edit: yields("false"),
    caughtBy: [
      own("keeps a client that follows a redirect at the meter: %s"),
      own("leads a client that reads Link from page to page"),
    ],
  },
  {
    name: "leaves the upstream's own path in its addresses",
    edit: always,
    caughtBy: [own("leads to the same resource where the upstream's URL has a path: %s")],
  },
  {
    name: "takes a reader for silent while kernels hold what he reads",
    edit: yields("Number.MAX_VALUE"),
    caughtBy: [
      proxy(
        "slow-readers",
        "a download is not cut while its client reads it slowly, though kernels show nothing of that for longer than silence may last",
      ),
      proxy(
        "reader-silence",
        "whoever reads evenly, and not slower than is allowed, is never silent, however seldom the kernels say so",
      ),
    ],
  },
  {
    name: "keeps a connection open on which nothing more is asked",
    edit: yields("false"),
    caughtBy: [
      proxy(
        "client-limits",
        "a connection that waits for its next request is closed after a time that is a setting, and no sooner",
      ),
    ],
  },
  {
    name: "closes a connection in the middle of its next request's head",
    edit: change(/ && bytesRead === this\.#asked/, ""),
    caughtBy: [
      proxy(
        "client-limits",
        "a connection that waits for its next request is closed after a time that is a setting, and no sooner",
      ),
    ],
  },
  {
    name: "waits for ever for a client to read",
    edit: yields("false"),
    caughtBy: [
      proxy("client-limits", "a client that does not read its answer is cut off"),
      proxy("trickles", "%s: nothing is read by that, and its response is cut off"),
    ],
  },
  {
    name: "waits for ever for an upstream to answer",
    edit: yields("false"),
    caughtBy: [proxy("trickles", "%s: nothing is answered by that, 504")],
  },
  {
    name: "leaves unread what had come of an aborted download",
    edit: instead("state.controller.abort(new errors.RequestAbortedError());"),
    caughtBy: [ABORTED, CUT],
  },
  {
    name: "flushes while what was cut is still being counted",
    edit: never,
    caughtBy: [CUT],
  },
  {
    name: "writes reports in one go",
    edit: change(/performance\.now\(\) < endMs/, "true"),
    caughtBy: [
      admin("turns", "of 10,000 backends a scrape, a report and an audit are made while others are answered"),
      admin(
        "metrics/backend-labels",
        "two scrapes at once of 1,000 backends are each whole and let everything else have its turns",
      ),
    ],
  },
  {
    name: "looks for slow heads as rarely as node does",
    edit: change(/\.\.\.LIMITS/, "...LIMITS, connectionsCheckingInterval: 30_000"),
    caughtBy: [admin("admin-timeouts", "gets 5 seconds for %s")],
  },
  {
    name: "lets pages of other sites change things",
    edit: always,
    caughtBy: [
      admin("admin", "changes nothing for a page of another site"),
      admin(
        "admin",
        "pages of these origins change things, whatever Host comes along, and those of their neighbours do not",
      ),
    ],
  },
  {
    name: "lets in whatever name was made to point here",
    edit: always,
    caughtBy: [admin("admin", "is closed to a name that somebody else made point here")],
  },
  {
    name: "asks clients to sleep until the month ends",
    edit: change(/LONGEST_WAIT/, "Infinity"),
    caughtBy: [
      llm("fails a call of OpenAI's client at once, in words and with a code"),
      llm("fails a call of Anthropic's client at once, in words"),
    ],
  },
  {
    name: "holds all that was announced, however slowly it comes",
    edit: yields("rest"),
    caughtBy: [
      slow("delays others for seconds and does not close the limit, as an upload"),
      slow("delays others for seconds and does not close the limit, as a download"),
    ],
  },
  {
    name: "takes what is only reserved for used up",
    edit: change(/!== "limit"/, "=== undefined"),
    caughtBy: [slow("where one backend is used up and room at another only reserved, the refusal is short")],
  },
  {
    name: "sends every request to a backend that is tried again",
    edit: change(/ && .*(?=\);)/, ""),
    caughtBy: [
      health("costs one request, and after each pause one more, when it %s"),
      health("slows one request, and after each pause one more, when it swallows SYNs"),
    ],
  },
  {
    name: "leaves a backend alone that failed once where there is no other",
    edit: drop,
    caughtBy: [health("gets every request, though it broke one")],
  },
  {
    name: "takes Redis's word for what was used of a backend",
    edit: drop,
    caughtBy: [
      {
        file: "apps/demo-proxy/test/compose-redis.test.ts",
        title: "takes over no backend whose usage only Redis could tell, while the database is away",
      },
    ],
  },
  {
    name: "lets go of a backend whose requests still run",
    edit: change(/inFlight === 0 && /, ""),
    caughtBy: [
      live(
        "lets go of a backend that is removed, once its requests have ended wherever it was, and has all of it back",
      ),
    ],
  },
  {
    name: "lets go of a backend that is just configured again",
    edit: never,
    caughtBy: [live("lets go of nothing that a configuration which is just being taken over has again")],
  },
  {
    name: "takes the limits of a backend with it",
    edit: change(/^const removed = .*/, "const removed: [] = [];"),
    caughtBy: [live("says nothing of a limit that a backend is removed with")],
  },
  {
    name: "sends on what it has sent itself",
    edit: never,
    caughtBy: [proxy("loops", "is asked once, and the client is told of the loop")],
  },
  {
    name: "hands on that a backend is too busy",
    edit: yields("false"),
    caughtBy: [health("has what may be sent again answered by the other one: %s")],
  },
  {
    name: "answers 502 where a kept connection was closed",
    edit: never,
    caughtBy: [KEPT],
  },
  {
    name: "sends again on a kept connection",
    edit: change(/isConnectionNew: .*?(?= \})/, "isConnectionNew: false"),
    caughtBy: [KEPT],
  },
  {
    name: "sends again what may take effect twice",
    edit: never,
    caughtBy: [proxy("failover", "has %s with %o answered %i")],
  },
  {
    name: "sends again what was begun to be answered",
    edit: drop,
    caughtBy: [proxy("failover", "does not have it sent again with a body, or once its answer has begun")],
  },
];
