import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { Secret } from "../credentials/secret.ts";
import { absolutePath, type Place } from "./paths.ts";
import type { PemFile, TlsConfig, TlsFiles } from "./proxy-config.ts";
import type { Path } from "./yaml-nodes.ts";

/** What is wrong with a setting, by its path. */
export type PemProblem = readonly [path: Path, message: string];

/** Certificates and keys as their files have them now, and what is wrong with them. */
export class PemFiles {
  readonly problems: PemProblem[] = [];
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  /** The certificates that others are trusted by; undefined where none can be had. */
  authorities(path: Path, file: string): PemFile | undefined {
    return this.#at(path, () => {
      const found = this.#read(file);
      const certificates = certificatesIn(found.pem);
      const valid = certificates.filter(({ validToDate }) => validToDate.getTime() > Date.now());
      if (valid.length === 0) {
        throw new RangeError(`has only certificates that have expired; get the present one of the authority`);
      }
      return found;
    });
  }

  /** What a listener shows its clients; undefined where it cannot be had. */
  listener(path: Path, { cert, key }: TlsFiles): TlsConfig | undefined {
    const found = this.#at([...path, "cert"], () => {
      const file = this.#read(cert);
      const [own] = certificatesIn(file.pem);
      assertInForce(own);
      return { ...file, own };
    });
    const secret = this.#at([...path, "key"], () => {
      const { pem } = this.#read(key);
      return { pem, own: privateKeyIn(pem) };
    });
    if (found === undefined || secret === undefined) return undefined;
    return this.#at([...path, "key"], () => {
      // fault: takes any key for that of the certificate
      if (!found.own.checkPrivateKey(secret.own)) {
        throw new RangeError(
          "is the key of another certificate than the first in cert; give the key that cert was made for, and in cert put the server's own certificate before those of authorities",
        );
      }
      assertUsable(found.pem, secret.pem);
      const { file, pem, own } = found;
      return { cert: { file, pem }, key: new Secret(secret.pem), validToMs: own.validToDate.getTime() };
    });
  }

  #read(file: string): PemFile {
    const path = absolutePath(file, this.#place);
    return { file: path, pem: textOf(path) };
  }

  #at<T>(path: Path, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.problems.push([path, error.message]);
      return undefined;
    }
  }
}

const MOST_BYTES = 1_048_576;

function textOf(path: string): string {
  try {
    const about = statSync(path);
    // A pipe or a device might never end.
    if (!about.isFile()) throw new RangeError(`is no file that can be read again and again: ${path}`);
    if (about.size > MOST_BYTES) throw new RangeError(`has more than ${MOST_BYTES} bytes: ${path}`);
    return readFileSync(path, "latin1");
  } catch (error) {
    if (error instanceof RangeError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new RangeError(`cannot be read (${code}): ${path}; check the path, and whether the proxy's user may read it`);
  }
}

const CERTIFICATE = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

function certificatesIn(pem: string): readonly [X509Certificate, ...X509Certificate[]] {
  const [first, ...others] = Array.from(pem.matchAll(CERTIFICATE), ([text], index) => {
    try {
      return new X509Certificate(text);
    } catch {
      throw new RangeError(`its certificate number ${index + 1} cannot be read: it is damaged; copy the file again`);
    }
  });
  if (first !== undefined) return [first, ...others];
  throw new RangeError(
    pem.includes("PRIVATE KEY-----")
      ? "has a private key and no certificate; that file belongs into key"
      : "has no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----; openssl x509 -inform der -in FILE makes one of DER",
  );
}

function privateKeyIn(pem: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) {
    throw new RangeError(
      "is encrypted with a passphrase, which nobody is there to type; openssl pkey -in FILE -out FILE decrypts it",
    );
  }
  if (!pem.includes("PRIVATE KEY-----")) {
    throw new RangeError("has no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----");
  }
  try {
    return createPrivateKey(pem);
  } catch {
    // What the library says might show a part of it.
    throw new RangeError("its private key cannot be read: it is damaged; copy the file again");
  }
}

function assertInForce({ validFromDate, validToDate }: X509Certificate): void {
  const now = Date.now();
  if (validToDate.getTime() <= now) {
    throw new RangeError(
      `its certificate has expired on ${dayOf(validToDate)}; renew it, and check the clock of this machine`,
    );
  }
  if (validFromDate.getTime() > now) {
    throw new RangeError(
      `its certificate is not valid before ${dayOf(validFromDate)}; check the clock of this machine`,
    );
  }
}

/** What only the TLS library itself refuses: keys that are too short, and signatures that are too weak. */
function assertUsable(cert: string, key: string): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new RangeError(`cannot be used together with cert (${code}); make a new key and certificate`);
  }
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
