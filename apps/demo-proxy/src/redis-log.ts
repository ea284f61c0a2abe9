import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { RedisMessage } from "@usage/counter-redis";

/** By name: the package that publishes on it is imported only where it is configured. */
const CHANNEL = "usage:redis";
const NAMES_PER_LINE = 3;

/**
 * Writes a line when Redis is given up on, when it is back, for shared counts that were lost and for those that cannot be
 * used. Answers how to stop.
 */
export function logRedis(write: (line: string, message: RedisMessage) => void): () => void {
  const listener = (message: unknown): void => {
    if (isRedisMessage(message)) write(lineOf(message), message);
  };
  subscribe(CHANNEL, listener);
  return () => void unsubscribe(CHANNEL, listener);
}

function lineOf(message: RedisMessage): string {
  switch (message.event) {
    case "unhealthy":
      return `Redis is away, limits go by what was last known of other instances: ${messageOf(message.error)}`;
    case "healthy":
      return "Redis is back, counts are shared again";
    case "lost":
      return `Redis lost shared counts of ${list(message.backends)} in ${message.period}, they are being made whole again`;
    case "refused":
      return `the shared counts of ${list([message.backend])} in ${message.period} cannot be used: ${message.error.message}`;
  }
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_PER_LINE).map((name) => JSON.stringify(name));
  const more = names.length - shown.length;
  return more === 0 ? shown.join(", ") : `${shown.join(", ")} and ${more} more`;
}

function isRedisMessage(message: unknown): message is RedisMessage {
  return typeof message === "object" && message !== null && "event" in message;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
