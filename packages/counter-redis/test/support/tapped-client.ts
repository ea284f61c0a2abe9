import type { RedisClient } from "@usage/counter-redis";

/** Passes commands on to a client and notes them; or, told so, behaves as a client does whose server is away. */
export class TappedClient implements RedisClient {
  /** The commands that were sent, by name in upper case. */
  readonly sent: string[] = [];
  /** `closed`: not connected. `rejects`, `hangs`: connected, and no command gets an answer. */
  fault: "none" | "closed" | "rejects" | "hangs" = "none";
  /** Commands that have no answer yet. */
  pending = 0;
  readonly #client: RedisClient;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  get status(): string {
    return this.fault === "closed" ? "reconnecting" : this.#client.status;
  }

  get isCluster(): boolean {
    return this.#client.isCluster;
  }

  on(event: "error", listener: (error: Error) => void): void {
    this.#client.on?.(event, listener);
  }

  off(event: "error", listener: (error: Error) => void): void {
    this.#client.off?.(event, listener);
  }

  async call(command: string, args: (string | number)[]): Promise<unknown> {
    this.sent.push(command.toUpperCase());
    if (this.fault === "hangs") return new Promise(() => {});
    if (this.fault !== "none") throw new Error("Connection is closed.");
    this.pending++;
    try {
      return await this.#client.call(command, args);
    } finally {
      this.pending--;
    }
  }
}
