import type { RedisMessage } from "@usage/counter-redis";
import { type Log, messageOf } from "./logger.ts";

/** Writes what happened to the shared counts, in the words of `line`. */
export function logRedisMessage(log: Log, line: string, message: RedisMessage): void {
  if (message.event === "unhealthy") {
    log.warn({ event: "redis-away", error: messageOf(message.error) }, line);
  } else if (message.event === "healthy") {
    log.info({ event: "redis-back" }, line);
  } else if (message.event === "lost") {
    const { period, backends } = message;
    log.warn({ event: "redis-lost", period, lost: backends.length, backends: backends.slice(0, NAMES) }, line);
  } else {
    const { period, backend, error } = message;
    log.error({ event: "redis-refused", period, backend, error: error.message }, line);
  }
}

/** A wiped Redis has lost all of them, and a line has to end. */
const NAMES = 100;
