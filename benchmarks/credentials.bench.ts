import { answer, runChild } from "./child.ts";
import type { CredentialsTimes } from "./credentials/time-credentials.ts";
import type { Row, Section } from "./report.ts";
import { pooled, processesOf, ratios } from "./rounds.ts";

const PROCESSES = processesOf(3);

const METHOD = [
  `What the proxy adds to a request where clients have keys and backends credentials, alone: without connections. A sample is 2,000
requests of one of 1,000 clients, a GET with five headers. *One HMAC* is \`createHmac("sha256")\` over 28 bytes: what Node takes for the
least of it.`,
  "Without `clients`, `auth` and `headers` none of it runs.",
];

const runs: CredentialsTimes[] = [];
for (let run = 0; run < PROCESSES; run++) {
  runs.push(await runChild<CredentialsTimes>("credentials/time-credentials.ts"));
}
const { hmac, key, header, link, bearer, sign } = pooled(runs);

function row(subject: string, values: readonly number[]): Row {
  return { subject, unit: "us", values, ratio: { to: "one HMAC", values: ratios(values, hmac) } };
}

answer({
  title: "Credentials",
  method: METHOD,
  tables: [
    {
      title: "A request",
      rows: [
        { subject: "one HMAC", unit: "us", values: hmac },
        row("a client by its key", key),
        row("a client by a signature of S3", header),
        row("a client by a link of S3", link),
        row("a backend with a bearer's token", bearer),
        row("a backend of S3, signed", sign),
      ],
    },
  ],
} satisfies Section);
