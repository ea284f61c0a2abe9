import type { Address } from "./config/address.ts";

/** Whether the proxy takes requests, and where: written by the app, read by the admin listener. */
export class Readiness {
  /** It listens, and is not shutting down. */
  ready = false;
  /** Where the proxy listens, with the port that port 0 became once it does. */
  address: Address;

  constructor(configured: Address) {
    this.address = configured;
  }
}
