/** `example.com` is that host; `*.example.com` is every host below it. Ports do not count. */
export class HostPattern {
  readonly text: string;
  readonly #isSuffix: boolean;
  readonly #name: string;

  /** @throws RangeError where it is no pattern. */
  constructor(text: string) {
    this.text = text;
    this.#isSuffix = text.startsWith("*.");
    const name = this.#isSuffix ? text.slice(2) : text;
    if (name.includes("*")) throw new RangeError("a * stands at the beginning, before a dot: *.example.com");
    if (/^[^[]*:\d*$/.test(name)) throw new RangeError("a host without a port, such as api.example.com");
    const url = URL.parse(`http://${name}/`);
    if (url === null || url.pathname !== "/" || url.host === "" || /[@/?#\\\s]/.test(name)) {
      throw new RangeError("expected a host, such as api.example.com or *.example.com");
    }
    this.#name = url.hostname.replace(/\.$/, "");
  }

  /** @param host as `hostName` returns it. */
  matches(host: string): boolean {
    return this.#isSuffix
      ? host.endsWith(`.${this.#name}`) && host.length > this.#name.length + 1
      : host === this.#name;
  }
}

const PLAIN = /^([\w.-]+|\[[\da-f:.]+\])(?::\d*)?$/i;

/** The name in a `Host`, to be compared; empty where it is none that could be compared safely. */
export function hostName(host: string | undefined): string {
  const [, name = ""] = PLAIN.exec(host ?? "") ?? [];
  return name.toLowerCase().replace(/\.$/, "");
}
