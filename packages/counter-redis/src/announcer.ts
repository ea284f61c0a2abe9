import { EventEmitter } from "node:events";
import { type RedisCounterEvents, type RedisMessage, redisChannel } from "./events.ts";

/**
 * Tells what happens to the shared counts, each time in a turn of its own: a listener that throws must not end the push loop.
 * What happens before `begin` is told right after it, since nobody can listen before.
 */
export class Announcer {
  readonly events: EventEmitter<RedisCounterEvents> = new EventEmitter();
  #early: RedisMessage[] | undefined = [];

  publish(message: RedisMessage): void {
    if (redisChannel.hasSubscribers) redisChannel.publish(message);
    if (this.#early === undefined) setImmediate(() => this.#emit(message));
    else this.#early.push(message);
  }

  begin(): void {
    setImmediate(() => {
      for (const message of this.#early ?? []) this.#emit(message);
      this.#early = undefined;
    });
  }

  #emit(message: RedisMessage): void {
    switch (message.event) {
      case "healthy":
        this.events.emit("healthy");
        break;
      case "unhealthy":
        this.events.emit("unhealthy", message.error);
        break;
      case "lost":
        this.events.emit("lost", message);
        break;
      case "refused":
        this.events.emit("refused", message);
        break;
      case "failed":
        this.events.emit("failed", message);
        break;
    }
  }
}
