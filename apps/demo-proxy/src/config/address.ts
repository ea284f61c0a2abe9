import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Where a listener is bound. Port 0 takes any free one. */
export interface Address {
  /** An IP address, without brackets, or a host name. */
  readonly host: string;
  readonly port: number;
}

const HOST_AND_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/;

/** `host:port` or `[IPv6]:port`; undefined when it is neither. */
export function parseAddress(text: string): Address | undefined {
  const [, v6, name, digits] = HOST_AND_PORT.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (v6 !== undefined && !isIPv6(v6))) return undefined;
  return { host, port };
}

/** `host:port`, the way a URL shows it. */
export function formatAddress({ host, port }: Address): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return loopback.check(host);
  if (isIPv6(host)) return loopback.check(host, "ipv6");
  const name = host.toLowerCase();
  return name === "localhost" || name.endsWith(".localhost");
}
