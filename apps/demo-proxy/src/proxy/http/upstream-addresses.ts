import { isIP } from "node:net";

/** Whoever a response is for, and what that client knows. */
export interface Addressee {
  /** `scheme://host` of this proxy as the client calls it; undefined where it named no host. */
  readonly askedOrigin: string | undefined;
  /** The `Origin` that the client sent. */
  readonly claimedOrigin: string | undefined;
}

/**
 * What an upstream says about its own addresses, as the client must use it: a client that followed the upstream's own words
 * would go past the proxy, and past the meter. An address is the upstream's own when it names its host and port, or its host
 * and the default port of either scheme, in any spelling. All others pass byte for byte, and so does every body.
 *
 * The address of a redirect becomes relative, which is right whatever the client calls the proxy. Elsewhere an absolute
 * address stays absolute, since whoever reads `Link` or a `realm` often cannot resolve: it gets the origin that the client
 * asked. The path that the upstream's URL has, and that was put before the request's own, is taken off again.
 */
export class UpstreamAddresses {
  readonly #url: URL;
  /** In lower case, without the dot that may end a full name. */
  readonly #hostname: string;
  /** Without a slash at its end; empty for none. */
  readonly #basePath: string;

  constructor(url: URL) {
    this.#url = url;
    this.#hostname = withoutDot(url.hostname);
    this.#basePath = url.pathname.replace(/\/+$/, "");
  }

  /** One response header as the client gets it. `name` is in lower case; `redirects` says whether `Location` is followed by itself. */
  toClient(name: string, value: string, redirects: boolean, client: Addressee): string {
    const form = FORMS.get(name);
    if (form === undefined) {
      // Other headers carry addresses, too, such as `Operation-Location`: those that are nothing but an absolute address.
      if (!startsWithH(value) || !ABSOLUTE.test(value)) return value;
      // Of an object's own metadata, and of its origin, the client was told by itself.
      return USER_METADATA.test(name) || value === client.claimedOrigin ? value : this.#map(value, false, client);
    }
    switch (form) {
      case "location":
        return this.#map(value, redirects, client);
      case "reference":
        return this.#map(value, false, client);
      case "refresh":
        return value.replace(REFRESH, (_, before: string, url: string) => before + this.#map(url, true, client));
      case "bracketed":
        if (!value.includes("<")) return this.#map(value, false, client);
        return value.replace(BRACKETED, (_, url: string) => `<${this.#map(url, false, client)}>`);
      case "mixed":
        return value.replace(ANYWHERE, (url) => this.#map(url, false, client));
      case "cookie":
        return this.#cookie(value, client);
    }
  }

  #map(reference: string, relative: boolean, client: Addressee): string {
    const authority = AUTHORITY.exec(reference)?.[0];
    if (authority === undefined) return reference.startsWith("/") ? pathOnly(this.#withoutBase(reference)) : reference;
    const url = parsed(reference, this.#url);
    if (url === undefined) return reference;
    // fault: takes an upstream's own address for another's
    const own = this.#owns(url);
    // Told by which name the client asked, an upstream calls itself by that, with its own path.
    if (!own && !isOf(client, url)) return reference;
    const path = this.#withoutBase(reference.slice(authority.length));
    if (!own) return authority + path;
    if (!relative && client.askedOrigin !== undefined && startsWithH(authority)) return client.askedOrigin + path;
    return pathOnly(path);
  }

  #owns({ protocol, hostname, port }: URL): boolean {
    if (protocol !== "http:" && protocol !== "https:") return false;
    if (withoutDot(hostname) !== this.#hostname) return false;
    // The default ports of both schemes are the same server's: it sends clients from one to the other.
    return port === this.#url.port || portOf(protocol, port) === portOf(this.#url.protocol, this.#url.port);
  }

  /** A path, query or fragment of the upstream, without the path that was put before the request's. */
  #withoutBase(path: string): string {
    const base = this.#basePath;
    // fault: leaves the upstream's own path in its addresses
    if (base === "" || !path.startsWith(base)) return path;
    const rest = path.slice(base.length);
    if (rest === "") return "/";
    if (rest.startsWith("/")) return rest;
    return rest.startsWith("?") || rest.startsWith("#") ? `/${rest}` : path;
  }

  /** Without a domain that is the upstream's and not the client's, where no client would take it; with the path that the client sees. */
  #cookie(value: string, client: Addressee): string {
    if (!COOKIE_ADDRESS.test(value)) return value;
    const [pair = "", ...attributes] = value.split(";");
    const kept = attributes.flatMap((attribute) => {
      const [, name = "", stated = ""] = /^\s*(domain|path)\s*=\s*(.*?)\s*$/i.exec(attribute) ?? [];
      if (name.toLowerCase() === "path") {
        const path = this.#withoutBase(stated);
        return path === stated ? attribute : ` ${name}=${path}`;
      }
      return name !== "" && this.#isStranger(stated, client) ? [] : attribute;
    });
    return [pair, ...kept].join(";");
  }

  #isStranger(domain: string, { askedOrigin }: Addressee): boolean {
    const asked = askedOrigin === undefined ? "" : (parsed(askedOrigin, this.#url)?.hostname ?? "");
    return covers(domain, this.#hostname) && !covers(domain, withoutDot(asked));
  }
}

type Form =
  /** A reference that a redirect is followed by. */
  | "location"
  | "reference"
  /** `5; url=...` */
  | "refresh"
  /** References in angle brackets, as in `<...>; rel="next"`, or one without. */
  | "bracketed"
  /** Absolute addresses among other things, as in `Bearer realm="..."`. */
  | "mixed"
  | "cookie";

const FORMS: ReadonlyMap<string, Form> = new Map<string, Form>([
  ["content-location", "reference"],
  ["link", "bracketed"],
  ["location", "location"],
  ["refresh", "refresh"],
  ["report-to", "mixed"],
  ["reporting-endpoints", "mixed"],
  ["set-cookie", "cookie"],
  ["sourcemap", "reference"],
  ["uri", "bracketed"],
  ["www-authenticate", "mixed"],
  ["x-sourcemap", "reference"],
]);

const USER_METADATA = /-meta-/;
const ABSOLUTE = /^https?:[/\\]+\S+$/i;
// As browsers read it: backslashes, and other numbers of slashes than two, begin an authority as well. Fewer than two do so
// unless the page has the same scheme, which is the client's to know.
const AUTHORITY = /^(?:https?:[/\\]*|[/\\]{2,})[^/\\?#]*/i;
const REFRESH = /^(\s*[\d.]*\s*[;,]\s*(?:url\s*=\s*)?["']?)([^"']+)/i;
const BRACKETED = /<([^>]*)>/g;
const ANYWHERE = /(?<![\w.+-])https?:[/\\]+[^"'<>\s,;]*/gi;
const COOKIE_ADDRESS = /;\s*(?:domain|path)\s*=/i;

function startsWithH(value: string): boolean {
  return (value.charCodeAt(0) | 0x20) === 0x68;
}

/** A reference of the same origin: `//x` alone would name the host x (RFC 3986, section 4.2). */
function pathOnly(path: string): string {
  const absolute = `/${path.replace(/^[/\\]/, "")}`;
  return /^\/[/\\]/.test(absolute) ? `/.${absolute}` : absolute;
}

/** Undefined for what is no address, which no client can follow. */
function parsed(reference: string, base: URL): URL | undefined {
  // Headers are read as latin1; a host name beyond ASCII is written in UTF-8.
  const text = /[\x80-\xff]/.test(reference) ? Buffer.from(reference, "latin1").toString("utf8") : reference;
  return (/^https?:/i.test(text) ? URL.parse(text) : URL.parse(text, base.href)) ?? undefined;
}

function isOf({ askedOrigin }: Addressee, { host }: URL): boolean {
  return askedOrigin !== undefined && URL.parse(askedOrigin)?.host === host;
}

function portOf(protocol: string, port: string): string {
  if (port !== "") return port;
  return protocol === "https:" ? "443" : "80";
}

function withoutDot(hostname: string): string {
  return hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
}

/** Whether a cookie for `domain` is sent to `host` (RFC 6265, section 5.1.3). */
function covers(domain: string, host: string): boolean {
  const wanted = withoutDot(domain.replace(/^\./, "").toLowerCase());
  return wanted !== "" && (host === wanted || (host.endsWith(`.${wanted}`) && isIP(host) === 0));
}
