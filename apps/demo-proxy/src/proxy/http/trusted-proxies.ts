import { BlockList, isIP } from "node:net";

/** The other end of a connection; a socket is one. */
export interface Peer {
  readonly remoteAddress?: string | undefined;
}

/**
 * The proxies in front of this one that are believed when they say who asked them, and how. Nobody else is: what a client
 * writes into `X-Forwarded-For` would otherwise become its address.
 */
export class TrustedProxies {
  readonly #trusted: BlockList | undefined;
  // A look at a BlockList takes a microsecond, and the peer of a connection stays the same.
  readonly #known = new WeakMap<Peer, boolean>();

  /**
   * @param networks IP addresses, or networks such as `10.0.0.0/8` and `fd00::/8`.
   * @throws RangeError for what is neither.
   */
  constructor(networks: readonly string[]) {
    if (networks.length === 0) return;
    this.#trusted = new BlockList();
    for (const network of networks) addNetwork(this.#trusted, network);
  }

  /** Whether this is a proxy that is believed. Looked at once for each connection. */
  trusts(peer: Peer): boolean {
    if (this.#trusted === undefined) return false;
    const known = this.#known.get(peer);
    if (known !== undefined) return known;
    const address = peerAddress(peer);
    const trusted = isIP(address) !== 0 && this.#trusted.check(address, familyOf(address));
    this.#known.set(peer, trusted);
    return trusted;
  }
}

/** The peer's IP address, without the prefix that a dual-stack socket puts before an IPv4 address; "unknown" once it is gone. */
export function peerAddress({ remoteAddress = "unknown" }: Peer): string {
  return remoteAddress.startsWith("::ffff:") ? remoteAddress.slice(7) : remoteAddress;
}

/** @throws RangeError when `network` is neither an IP address nor a network in CIDR notation. */
export function addNetwork(list: BlockList, network: string): void {
  const [, address = "", digits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  const longest = [0, 0, 0, 0, 32, 0, 128][isIP(address)] ?? 0;
  const bits = digits === undefined ? longest : Number(digits);
  if (longest === 0 || bits > longest) {
    throw new RangeError("expected an IP address, or a network such as 10.0.0.0/8 or fd00::/8");
  }
  list.addSubnet(address, bits, familyOf(address));
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
