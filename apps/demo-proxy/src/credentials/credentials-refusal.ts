import type { IncomingHttpHeaders } from "node:http";

/** An answer that may be one to the proxy's own credentials. */
export interface CredentialsRefusal {
  /** Whether its status says so. */
  readonly isCertain: boolean;
  /** Whether the beginning of its body does. */
  isIn(chunk: Buffer): boolean;
}

/** The backend does not accept the credentials of the proxy. */
export class CredentialsError extends Error {
  readonly code = "CREDENTIALS_REFUSED";

  constructor() {
    super("the backend does not accept the credentials of the proxy");
  }
}

const CERTAIN: CredentialsRefusal = { isCertain: true, isIn: () => true };

/** The codes of S3 for a key that it does not know and a signature that it does not understand. What comes with them names the key. */
const CODES =
  /<Code>(?:SignatureDoesNotMatch|InvalidAccessKeyId|RequestTimeTooSkewed|AuthorizationHeaderMalformed|AuthorizationQueryParametersError|ExpiredToken|InvalidToken|Unauthorized)<\/Code>/;

const IN_BODY: CredentialsRefusal = { isCertain: false, isIn: (chunk) => CODES.test(chunk.toString("latin1")) };

export function plainRefusal(status: number): CredentialsRefusal | undefined {
  return status === 401 || status === 407 ? CERTAIN : undefined;
}

export function s3Refusal(status: number, headers: IncomingHttpHeaders): CredentialsRefusal | undefined {
  if (status === 401) return CERTAIN;
  const type = headers["content-type"]?.toString() ?? "";
  return (status === 403 || status === 400) && /xml/i.test(type) ? IN_BODY : undefined;
}
