import { ConnectionErrors } from "./connection-errors.ts";
import { NotConnectedError, RefusedCountsError } from "./errors.ts";
import type { BucketKeys } from "./keys.ts";
import type { RedisClient } from "./redis-client.ts";
import { refusalOf } from "./refusal.ts";
import type { Script } from "./script.ts";

type Args = readonly (string | number)[];

/** How a script says that a key of the bucket itself holds something else. */
const SPOILT = /^USAGE_SPOILT (epoch|changes) (.*)/;

/** Commands and scripts by a client that is connected, whose errors say which key may not be used. */
export class RedisCalls {
  readonly #client: RedisClient;
  readonly #connectionErrors: ConnectionErrors;

  constructor(client: RedisClient) {
    this.#client = client;
    this.#connectionErrors = new ConnectionErrors(client);
  }

  close(): void {
    this.#connectionErrors.close();
  }

  async call(command: string, args: (string | number)[]): Promise<unknown> {
    this.#assertReady();
    return this.#client.call(command, args);
  }

  /** @param of - Whose keys the first ones of `keys` are. */
  async run(script: Script, of: BucketKeys, keys: readonly string[], args: Args): Promise<readonly unknown[]> {
    // Of several keys Redis does not say which one may not be used: the last is a backend's, where there is one.
    return this.refusable(keys.at(-1) as string, async () => {
      this.#assertReady();
      try {
        const reply = await script.run(this.#client, keys, args);
        return Array.isArray(reply) ? reply : [reply];
      } catch (error) {
        const [, which, reason = ""] = (error instanceof Error && SPOILT.exec(error.message)) || [];
        throw which === undefined ? error : new RefusedCountsError(which === "epoch" ? of.epoch : of.changes, reason);
      }
    });
  }

  /** @throws RefusedCountsError with the key, where what went wrong is that it cannot be used. */
  async refusable<T>(key: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw error instanceof RefusedCountsError ? error : (refusalOf(key, error) ?? error);
    }
  }

  /** Otherwise commands would pile up in the client until it is connected again. */
  #assertReady(): void {
    const { status } = this.#client;
    if (status !== "ready") throw new NotConnectedError(status, this.#connectionErrors.last);
    this.#connectionErrors.forget();
  }
}
