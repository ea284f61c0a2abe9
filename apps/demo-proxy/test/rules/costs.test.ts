import type { IncomingMessage, ServerResponse } from "node:http";
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, it } from "vitest";
import type { DimensionConfig } from "../../src/config/proxy-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import type { ProxyApp } from "../../src/proxy-app.ts";
import { CostBook } from "../../src/rules/cost-book.ts";
import { lastingConfig, startLasting, startUpstreamOf } from "../support/rules.ts";

function costOf(config: DimensionConfig, method: string, path: string, status?: number): readonly number[] {
  const costs = new CostBook(new Map([["it", config]])).costsOf(method, path);
  return [costs?.most.it ?? 0, costs?.by(status).it ?? 0];
}

describe("a dimension by rules", () => {
  const RULES: DimensionConfig = [
    { method: ["PUT"], status: ["412", "5xx"], amount: 1 },
    { method: ["PUT"], path: ["/big/*"], amount: 10 },
    { method: ["PUT"], amount: 3 },
    { path: ["/a%20b"], query: ["list", "type=2"], amount: 2 },
  ];

  it.each([
    ["PUT", "/x", 200, [3, 3]],
    ["PUT", "/x", 412, [3, 1]],
    ["PUT", "/x", 503, [3, 1]],
    ["PUT", "/x", undefined, [3, 3]],
    ["PUT", "/big", 200, [10, 10]],
    ["PUT", "/%62ig/x", 200, [10, 10]],
    ["PUT", "//big/x", 200, [10, 10]],
    ["PUT", "/big%2fx", 200, [10, 10]],
    ["PUT", "/x?path=/big/", 200, [3, 3]],
    ["GET", "/x", 200, [0, 0]],
    ["GET", "/a%20b?list&type=2", 200, [2, 2]],
    ["GET", "/a%20b?type=2&l%69st=", 200, [2, 2]],
    ["GET", "/a%20b?type=22&list", 200, [0, 0]],
    ["GET", "/a%20b?type=1&type=2&list", 200, [2, 2]],
  ] as const)("of %s %s that is answered %s holds and counts %j", (method, path, status, amounts) => {
    expect(costOf(RULES, method, path, status)).toEqual(amounts);
  });

  it("costs nothing that no rule is for, and then holds nothing", () => {
    expect(new CostBook(new Map([["it", RULES]])).costsOf("DELETE", "/x")).toBeUndefined();
    expect(costOf([{ status: ["404"], amount: 1 }], "GET", "/", 404)).toEqual([1, 1]);
    expect(costOf([{ status: ["404"], amount: 1 }], "GET", "/", 200)).toEqual([1, 0]);
  });
});

/** What the price page of R2 says of each operation, as the client of S3 sends it. */
const OPERATIONS = new Map<string, "A" | "B" | "free">([
  ["ListBuckets", "A"],
  ["PutObject", "A"],
  ["CopyObject", "A"],
  ["CreateMultipartUpload", "A"],
  ["UploadPart", "A"],
  ["ListObjects", "A"],
  ["ListObjectsV2", "A"],
  ["ListMultipartUploads", "A"],
  ["ListParts", "A"],
  ["HeadBucket", "B"],
  ["HeadObject", "B"],
  ["GetObject", "B"],
  ["GetBucketLocation", "B"],
  ["DeleteObject", "free"],
]);

describe("a proxy with dimensions of its own", () => {
  let app: ProxyApp;
  let origin: string;
  let admin: string;
  let status = 200;
  let hold: ((response: ServerResponse) => void) | undefined;

  beforeAll(async () => {
    const url = await startUpstreamOf((request: IncomingMessage, response) => {
      request.resume().on("end", () => {
        if (hold !== undefined) return hold(response);
        response.writeHead(status, { "content-type": "application/xml" });
        response.end(request.method === "HEAD" ? "" : "<ok/>");
      });
    });
    ({ app, origin, admin } = await startLasting(
      lastingConfig(`
dimensions:
  classA: r2-class-a
  classB: r2-class-b
  ociRequests: oci-requests
  drafts: [{ method: POST, path: /drafts/*, status: 2xx, amount: 5 }]
backends:
- { name: r2, url: "${url.href}", limits: { classA: 40, drafts: 20 } }`),
    ));
  });

  const usage = () => app.tracker.counter.totalAll("r2") as unknown as Record<string, number>;
  const counted = async (ask: () => Promise<unknown>): Promise<Record<string, number>> => {
    const before = usage();
    await ask();
    await expect.poll(() => app.inFlight()).toBe(0);
    return Object.fromEntries(Object.entries(usage()).map(([name, amount]) => [name, amount - (before[name] ?? 0)]));
  };

  it("counts the operations of R2 as its price page classes them, by the requests of S3's own client", async () => {
    const client = new S3Client({
      endpoint: origin,
      region: "auto",
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
    });
    const [Bucket, Key, UploadId] = ["b", "k/x", "u"];
    const object = { Bucket, Key };
    const sends: Record<string, () => Promise<unknown>> = {
      ListBuckets: () => client.send(new ListBucketsCommand({})),
      PutObject: () => client.send(new PutObjectCommand({ ...object, Body: "x" })),
      CopyObject: () => client.send(new CopyObjectCommand({ ...object, CopySource: "b/y" })),
      CreateMultipartUpload: () => client.send(new CreateMultipartUploadCommand(object)),
      UploadPart: () => client.send(new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: "x" })),
      ListObjects: () => client.send(new ListObjectsCommand({ Bucket })),
      ListObjectsV2: () => client.send(new ListObjectsV2Command({ Bucket })),
      ListMultipartUploads: () => client.send(new ListMultipartUploadsCommand({ Bucket })),
      ListParts: () => client.send(new ListPartsCommand({ ...object, UploadId })),
      HeadBucket: () => client.send(new HeadBucketCommand({ Bucket })),
      HeadObject: () => client.send(new HeadObjectCommand(object)),
      GetObject: async () => {
        const { Body } = await client.send(new GetObjectCommand(object));
        await Body?.transformToString();
      },
      GetBucketLocation: () => client.send(new GetBucketLocationCommand({ Bucket })),
      DeleteObject: () => client.send(new DeleteObjectCommand(object)),
    };
    const found = new Map<string, string>();
    for (const [name, send] of Object.entries(sends)) {
      const { classA, classB, apiRequests, ociRequests } = await counted(() => send().catch(() => undefined));
      expect([name, apiRequests, ociRequests]).toEqual([name, 1, 1]);
      found.set(name, classA === 1 && classB === 0 ? "A" : classA === 0 && classB === 1 ? "B" : "free");
      if (found.get(name) === "free") expect([classA, classB]).toEqual([0, 0]);
    }
    expect(found).toEqual(OPERATIONS);
    client.destroy();
  });

  it.each([401, 403])("counts nothing of what R2 refuses with %d, and gives back what was held", async (refused) => {
    status = refused;
    const { classA, apiRequests } = await counted(() => fetch(`${origin}/b/k`, { method: "PUT", body: "x" }));
    status = 200;
    expect([classA, apiRequests]).toEqual([0, 1]);
    expect(Object.values(app.tracker.counter.heldAll("r2"))).toEqual(Object.values(usage()).map(() => 0));
  });

  it("holds what depends on the answer before it is asked, and counts what the answer says", async () => {
    const waiting = Promise.withResolvers<ServerResponse>();
    hold = waiting.resolve;
    const draft = () => fetch(`${origin}/drafts/1`, { method: "POST" });
    const running = draft();
    const response = await waiting.promise;
    hold = undefined;
    const held = () => (app.tracker.counter.heldAll("r2") as unknown as Record<string, number>).drafts;
    expect([held(), usage().drafts]).toEqual([5, 0]);
    response.writeHead(400).write("no ");
    const answer = await running;
    expect([held(), usage().drafts]).toEqual([0, 0]);
    response.end("draft");
    expect(await answer.text()).toBe("no draft");
    for (const left of [15, 10, 5, 0]) {
      expect((await counted(draft)).drafts).toBe(5);
      expect(app.tracker.check("r2", {}).remaining).toMatchObject({ drafts: left });
    }
    const refused = await draft();
    expect(refused.status).toBe(429);
    expect(JSON.stringify(await refused.json())).toContain("drafts");
    // What costs none of it goes on.
    expect((await fetch(`${origin}/drafts/1`)).status).toBe(200);
  });

  it("counts the most that it could cost of a request that was written and got no answer", async () => {
    hold = (response) => response.destroy();
    const { classA, classB } = await counted(() => fetch(`${origin}/b/k`, { method: "PUT", body: "x" }));
    hold = undefined;
    expect([classA, classB]).toEqual([1, 0]);
  });

  it("lets what is left of them be granted, and nothing that nobody counts", async () => {
    const grant = async (amounts: object) => {
      const body = JSON.stringify({ id: JSON.stringify(amounts), amounts, reason: "a migration" });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${admin}/api/backends/r2/grants`, { method: "POST", headers, body });
      return [answer.status, await answer.text()] as const;
    };
    const [status, text] = await grant({ classA: 5 });
    expect([status, JSON.parse(text).limits]).toEqual([201, { classA: 45, drafts: 20 }]);
    const [refused, why] = await grant({ classC: 5 });
    expect(refused).toBe(400);
    expect(why).toContain(
      "amounts.classC: unknown key, did you mean classA? known here: apiRequests, egressBytes, ingressBytes, classA",
    );
  });

  it("stores, tells and measures them like all others", async () => {
    await app.tracker.flush();
    const stored = await app.store.totals(app.tracker.counter.period().key, app.tracker.counter.writer);
    expect(stored.usage.get("r2")?.all).toEqual(usage());
    const { backends } = (await (await fetch(`${admin}/api/usage`)).json()) as {
      backends: { usage: unknown; limits: unknown }[];
    };
    expect(backends[0]).toMatchObject({ usage: usage(), limits: { classA: 45, drafts: 20 } });
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    expect(metrics).toContain(`usage_class_a{backend="r2"} ${usage().classA}\n`);
    expect(metrics).toContain('usage_limit_drafts{backend="r2"} 20\n');
    expect(metrics).toContain('usage_rejections_total{backend="r2",dimension="drafts"} 1\n');
  });
});

describe("a configuration with dimensions", () => {
  const complaintsOf = (text: string): string => {
    try {
      parseConfig(text, { file: "p.yaml", folder: "/" });
    } catch (error) {
      return String(error);
    }
    return "none";
  };

  it.each([
    [
      "dimensions: { classA: r2-clas-a }",
      'dimensions.classA: "r2-clas-a" is no ready-made list, did you mean r2-class-a?',
    ],
    ["dimensions: { classA: [{ methods: PUT }] }", "dimensions.classA[0].methods: unknown key, did you mean method?"],
    [
      "dimensions: { classA: [{ status: 600 }] }",
      "dimensions.classA[0].status[0]: expected a status, such as 404 or 4xx",
    ],
    ["dimensions: { classA: [{ amount: -1 }] }", "dimensions.classA[0].amount: expected a whole number of units"],
    ["dimensions: { apiRequests: oci-requests }", "dimensions.apiRequests: is counted in any case"],
    ["dimensions: { class_a: oci-requests }", "dimensions.class_a: is no name"],
    ["dimensions: { limitOf: oci-requests }", "dimensions.limitOf: begins like a metric"],
    ["dimensions: { inputTokens: oci-requests }", "dimensions.inputTokens: is what backends[].tokens counts"],
    ["dimensions: { a: [] }", "dimensions.a: expected a list of rules"],
    ["dimensions: {}\nx-a: 1", "backends[0].limits.classA: unknown key"],
    ["dimensions: { clasA: r2-class-a }", "backends[0].limits.classA: unknown key, did you mean clasA?"],
  ])("says what is wrong with %s", (dimensions, complaint) => {
    expect(complaintsOf(`backends: [{ name: a, url: http://a, limits: { classA: 1 } }]\n${dimensions}`)).toContain(
      complaint,
    );
  });
});
