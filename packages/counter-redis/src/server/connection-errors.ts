import type { RedisClient } from "./redis-client.ts";

/** Why a client is not connected, which only its `"error"` events tell. */
export class ConnectionErrors {
  readonly #client: RedisClient;
  readonly #listener: (event: Error) => void;
  #last: Error | undefined;

  /** @param onError - Is told of each, besides. */
  constructor(client: RedisClient, onError?: (error: Error) => void) {
    this.#client = client;
    this.#listener = (event) => {
      // fault: does not say why Redis is away
      this.#last = nodeErrorOf(event);
      onError?.(this.#last);
    };
    client.on?.("error", this.#listener);
  }

  /** The last one since the client was last connected. */
  get last(): Error | undefined {
    return this.#last;
  }

  /** The client is connected: what kept it from that is over. */
  forget(): void {
    this.#last = undefined;
  }

  close(): void {
    this.#client.off?.("error", this.#listener);
  }
}

/** A `Cluster` tells only inside its own error what its nodes said. */
function nodeErrorOf(error: Error): Error {
  return "lastNodeError" in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
}
