import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";

const UNSIGNED = new Set(["X-Amz-Signature"]);

/**
 * Whether a request as it arrived is the one that its sender signed for S3 (AWS Signature Version 4, in `Authorization` or in
 * the query): method, path and query to the byte, and each signed header. False for one without a signature.
 */
export function isSigned(request: IncomingMessage, secret: string): boolean {
  const { method = "", url = "", headers } = request;
  const [path = "", query = ""] = url.split("?", 2);
  const parameters = new Map(query.split("&").map((pair) => [pair.split("=", 1)[0] ?? "", pair] as const));
  const inQuery = (name: string): string => decodeURIComponent(parameters.get(name)?.slice(name.length + 1) ?? "");
  const inHeader = (name: string): string => new RegExp(`${name}=([^,]+)`).exec(headers.authorization ?? "")?.[1] ?? "";
  const [credential, signed, signature, time, hash] =
    headers.authorization === undefined
      ? [
          inQuery("X-Amz-Credential"),
          inQuery("X-Amz-SignedHeaders"),
          inQuery("X-Amz-Signature"),
          inQuery("X-Amz-Date"),
          "UNSIGNED-PAYLOAD",
        ]
      : [
          inHeader("Credential"),
          inHeader("SignedHeaders"),
          inHeader("Signature"),
          headers["x-amz-date"],
          headers["x-amz-content-sha256"],
        ];
  const [, ...scope] = credential.split("/");
  const canonicalQuery = [...parameters.entries()]
    .filter(([name]) => name !== "" && !UNSIGNED.has(name))
    .map(([, pair]) => (pair.includes("=") ? pair : `${pair}=`))
    .sort()
    .join("&");
  const canonicalHeaders = signed.split(";").map((name) => `${name}:${String(headers[name]).replace(/ +/g, " ")}\n`);
  const canonical = [method, path, canonicalQuery, canonicalHeaders.join(""), signed, hash].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, scope.join("/"), createHash("sha256").update(canonical).digest("hex")];
  const key = scope.reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${secret}`);
  return signature !== "" && hmac(key, text.join("\n")).toString("hex") === signature;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
