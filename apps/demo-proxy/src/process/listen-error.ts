import { type Address, formatAddress } from "../config/address.ts";
import { messageOf } from "../log/message-of.ts";

/** An address that cannot be listened on. */
export class ListenError extends Error {
  readonly code = "USAGE_PROXY_LISTEN";
  readonly address: Address;

  constructor(listener: string, address: Address, cause: unknown) {
    super(`${listener} cannot listen on ${formatAddress(address)}: ${reason(cause)}`, { cause });
    this.name = "ListenError";
    this.address = address;
  }
}

function reason(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "EADDRINUSE") return "another process does; stop it, or configure another port";
  if (code === "EACCES") return "this user may not; configure a port above 1023";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address; configure one that it has, or 127.0.0.1";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return `its host name has no address (${code}); check the spelling, or configure an address of this machine`;
  }
  if (code === "EAFNOSUPPORT") return "this machine has no IPv6; configure an IPv4 address";
  return messageOf(cause);
}
