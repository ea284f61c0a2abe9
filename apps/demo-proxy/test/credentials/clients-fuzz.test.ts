import type { IncomingMessage } from "node:http";
import fc from "fast-check";
import { expect, it } from "vitest";
import { ClientKey } from "../../src/credentials/client-key.ts";
import { Clients } from "../../src/credentials/clients.ts";

const clients = new Clients([{ name: "app", key: new ClientKey("clients-own-key-0123") }]);
const piece = fc.oneof(
  fc.constantFrom(
    ..."AWS4-HMAC-SHA256|AWS |Credential=|app/|20261128/|r/s3/aws4_request|, |SignedHeaders=|host|;|Signature=|0000|X-Amz-|Algorithm=|Date=|20261128T000000Z|Expires=|60|&|?|%|%2|%zz|+|Bearer |Basic |Og==|=|//".split(
      "|",
    ),
  ),
  fc.string({ maxLength: 4 }),
);
const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));

it("whatever a stranger sends to show who it is, it is refused by a status, in words that hold none of it", () => {
  fc.assert(
    fc.property(text, text, text, (authorization, query, key) => {
      const headers = {
        authorization,
        "x-api-key": key,
        "x-amz-date": key,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
      };
      const headersDistinct = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
      const request = { method: "GET", url: `/a?${query}`, headers, headersDistinct } as unknown as IncomingMessage;
      const told = clients.identify(request, ["127.0.0.1"], Date.UTC(2026, 10, 28));
      expect(told).toMatchObject({ status: expect.toSatisfy((status) => status >= 400 && status < 500) });
    }),
    { numRuns: 3_000 },
  );
});
