import { createHmac } from "node:crypto";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { systemClock } from "@usage/counter-core";
import { BackendCredentials } from "../../apps/demo-proxy/src/credentials/backend-credentials.ts";
import { ClientKey } from "../../apps/demo-proxy/src/credentials/client-key.ts";
import { Clients } from "../../apps/demo-proxy/src/credentials/clients.ts";
import { S3Signer } from "../../apps/demo-proxy/src/credentials/s3-signer.ts";
import { Secret } from "../../apps/demo-proxy/src/credentials/secret.ts";
import { answer } from "../child.ts";
import { interleave, roundsOf } from "../rounds.ts";

/** In microseconds per request. */
export type CredentialsTimes = Record<Subject, number[]>;
export type Subject = "hmac" | "key" | "header" | "link" | "bearer" | "sign";

const REQUESTS = 2_000;
const KEY = "the-key-of-client-0123456789";
const HOST = "127.0.0.1:8080";
const HEADERS = ["host", HOST, "accept", "*/*", "user-agent", "a client", "x-amz-content-sha256", "UNSIGNED-PAYLOAD"];

const clients = new Clients(
  Array.from({ length: 1_000 }, (_, i) => ({ name: `client-${i}`, key: new ClientKey(i === 7 ? KEY : `${KEY}-${i}`) })),
);
const account = { region: "auto", accessKeyId: new Secret("client-7"), secretAccessKey: new Secret(KEY) };
const client = new S3Signer(account, systemClock);
const signed = (inQuery: boolean) =>
  client.sign({ method: "GET", target: "/bucket/folder/key-1.bin", headers: HEADERS, inQuery });

function request(target: string, headers: readonly string[]): IncomingMessage {
  const made = new IncomingMessage(new Socket());
  made.method = "GET";
  made.url = target;
  for (let at = 0; at < headers.length; at += 2) {
    const [name, value] = [String(headers[at]), String(headers[at + 1])];
    made.headers[name] = value;
    made.headersDistinct[name] = [value];
  }
  return made;
}

function identify(target: string, headers: readonly string[]): () => void {
  const made = request(target, headers);
  return () => {
    if ("status" in clients.identify(made, [HOST], Date.now())) throw new Error("the client is not known");
  };
}

function apply(credentials: BackendCredentials): () => void {
  const sent = { method: "GET", path: "/bucket/folder/key-1.bin", headers: HEADERS, body: null };
  return () => void credentials.apply(sent, "s3.example.com", { name: "client-7" });
}

function sample(work: () => void): () => number {
  return () => {
    const before = process.hrtime.bigint();
    for (let i = 0; i < REQUESTS; i++) work();
    return Number(process.hrtime.bigint() - before) / REQUESTS / 1_000;
  };
}

const [header, link] = [signed(false), signed(true)];
const token = new Secret("sk-a-token-of-a-provider-01");
const subjects: Record<Subject, () => number> = {
  hmac: sample(() => void createHmac("sha256", KEY).update(KEY).digest("hex")),
  key: sample(identify("/v1/x", ["host", HOST, "authorization", `Bearer ${KEY}`])),
  header: sample(identify(header.target, header.headers)),
  link: sample(identify(link.target, link.headers)),
  bearer: sample(apply(new BackendCredentials({ auth: { kind: "bearer", token } }, systemClock))),
  sign: sample(apply(new BackendCredentials({ auth: { kind: "s3", ...account } }, systemClock))),
};
answer((await interleave(subjects, roundsOf({ rounds: 15, warmups: 3 }))) satisfies CredentialsTimes);
