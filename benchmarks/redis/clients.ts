import { once } from "node:events";
import { type RedisClient, recommendedClientOptions } from "@usage/counter-redis";
import { Redis } from "ioredis";

/** A connection of a counter's own, ready to be used. */
export async function openClient(url: string): Promise<Redis> {
  const client = new Redis(url, recommendedClientOptions);
  await once(client, "ready");
  return client;
}

/** Sees the commands that pass. */
export class WatchedClient implements RedisClient {
  readonly isCluster: boolean;
  commands = 0;
  readonly #client: RedisClient;
  #firstAt: number | undefined;
  #lastAt = 0;

  constructor(client: RedisClient) {
    this.#client = client;
    this.isCluster = client.isCluster;
  }

  get status(): string {
    return this.#client.status;
  }

  async call(command: string, args: (string | number)[]): Promise<unknown> {
    this.commands++;
    this.#firstAt ??= performance.now();
    try {
      return await this.#client.call(command, args);
    } finally {
      this.#lastAt = performance.now();
    }
  }

  /** From the first command to the last reply since `watchAgain`, in milliseconds. */
  get busyMs(): number {
    return this.#lastAt - (this.#firstAt ?? this.#lastAt);
  }

  watchAgain(): void {
    this.#firstAt = undefined;
  }
}

/** Lets a call wait for the reply to the one before it. */
export class SerialClient implements RedisClient {
  readonly isCluster = false;
  readonly #client: RedisClient;
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: RedisClient) {
    this.#client = client;
  }

  get status(): string {
    return this.#client.status;
  }

  call(command: string, args: (string | number)[]): Promise<unknown> {
    const reply = this.#last.then(() => this.#client.call(command, args));
    this.#last = reply.catch(() => {});
    return reply;
  }
}
