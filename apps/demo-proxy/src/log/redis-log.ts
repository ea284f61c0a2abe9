import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { FailedChore, RedisMessage } from "@usage/counter-redis";
import type { Log } from "./logger.ts";
import { messageOf } from "./message-of.ts";

/** By name: the package that publishes on it is imported only where it is configured. */
const CHANNEL = "usage:redis";
const NAMES_PER_LINE = 3;
/** A wiped Redis has lost all of them, and a line has to end. */
const NAMES_PER_EVENT = 100;

/**
 * Writes a line when Redis is given up on and each time more is known of why, when it is back, for shared counts that were lost
 * and for those that cannot be used, and when something else that is needed fails. Returns what ends that.
 */
export function logRedis(log: Log): () => void {
  let isAway = false;
  const listener = (message: unknown): void => {
    if (!isRedisMessage(message)) return;
    logMessage(log, message, isAway);
    if (message.event === "unhealthy" || message.event === "healthy") isAway = message.event === "unhealthy";
  };
  subscribe(CHANNEL, listener);
  return () => void unsubscribe(CHANNEL, listener);
}

function logMessage(log: Log, message: RedisMessage, isAway: boolean): void {
  switch (message.event) {
    case "unhealthy": {
      const error = messageOf(message.error);
      const line = isAway
        ? `Redis is still away: ${error}`
        : `Redis is away, limits go by what was last known of other instances: ${error}`;
      log.warn({ event: "redis-away", error }, line);
      break;
    }
    case "healthy":
      log.info({ event: "redis-back" }, "Redis is back, counts are shared again");
      break;
    case "lost": {
      const { period, backends } = message;
      const line = `Redis lost shared counts of ${list(backends)} in ${period}, they are being made whole again`;
      const names = backends.slice(0, NAMES_PER_EVENT);
      log.warn({ event: "redis-lost", period, lost: backends.length, backends: names }, line);
      break;
    }
    case "refused": {
      const { period, backend, error } = message;
      const line = `the shared counts of ${list([backend])} in ${period} cannot be used: ${error.message}`;
      log.error({ event: "redis-refused", period, backend, error: error.message }, line);
      break;
    }
    case "failed": {
      const { chore } = message;
      const error = messageOf(message.error);
      log.error({ event: "redis-failed", chore, error }, `${CHORES[chore]}: ${error}`);
      break;
    }
  }
}

const CHORES: Readonly<Record<FailedChore["chore"], string>> = {
  reconcile: "Redis cannot be searched for what instances that died had shared, so it is not stored",
  "reconcile-ended":
    "Redis cannot be searched for what instances that died had shared of a month that has ended, so it is not stored",
  hydrate: "what is stored cannot be shared through Redis",
  close: "what was counted last could not be shared through Redis",
};

function list(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_PER_LINE).map((name) => JSON.stringify(name));
  const more = names.length - shown.length;
  return more === 0 ? shown.join(", ") : `${shown.join(", ")} and ${more} more`;
}

function isRedisMessage(message: unknown): message is RedisMessage {
  return typeof message === "object" && message !== null && "event" in message;
}
