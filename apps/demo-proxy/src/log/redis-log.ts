import type { FailedChore, RedisEvent } from "@usage/counter-redis";
import type { Log } from "./logger.ts";
import { messageOf } from "./message-of.ts";

const NAMES_PER_LINE = 3;
/** A wiped Redis has lost all of them, and a line has to end. */
const NAMES_PER_EVENT = 100;

/**
 * Writes a line when Redis is given up on and each time more is known of why, when it is back, for shared counts that were lost
 * and for those that cannot be used, and when something else that is needed fails. To be called for each event.
 */
export function redisLog(log: Log): (event: RedisEvent) => void {
  let isAway = false;
  return (event) => {
    logEvent(log, event, isAway);
    if (event.kind === "unhealthy" || event.kind === "healthy") isAway = event.kind === "unhealthy";
  };
}

function logEvent(log: Log, event: RedisEvent, isAway: boolean): void {
  switch (event.kind) {
    case "unhealthy": {
      const error = messageOf(event.error);
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
      const { period, backends } = event;
      const line = `Redis lost shared counts of ${list(backends)} in ${period}, they are being made whole again`;
      const names = backends.slice(0, NAMES_PER_EVENT);
      log.warn({ event: "redis-lost", period, lost: backends.length, backends: names }, line);
      break;
    }
    case "refused": {
      const { period, backends, error } = event;
      const line = `the shared counts of ${list(backends)} in ${period} cannot be used: ${error.message}`;
      const names = backends.slice(0, NAMES_PER_EVENT);
      log.error({ event: "redis-refused", period, backends: names, error: error.message }, line);
      break;
    }
    case "cautioned":
      log.warn({ event: "redis-cautioned", problem: event.problem }, `limits may not be exact: ${event.problem}`);
      break;
    case "forgiven": {
      const { period, backend, writer, usage } = event;
      const amounts = Object.entries(usage).map(([dimension, amount]) => `${amount} ${dimension}`);
      const line = `wrote off ${amounts.join(", ")} of ${JSON.stringify(backend)} in ${period} that ${writer} kept from others`;
      log.warn({ event: "redis-forgiven", period, backend, writer, usage }, line);
      break;
    }
    case "failed": {
      const { chore } = event;
      const error = messageOf(event.error);
      log.error({ event: "redis-failed", chore, error }, `${CHORES[chore]}: ${error}`);
      break;
    }
  }
}

const CHORES: Readonly<Record<FailedChore["chore"], string>> = {
  reconcile: "Redis cannot be searched for what instances that died had shared, so it is not stored",
  report: "Redis cannot be told what is stored, so others will store it once more",
  hydrate: "what is stored cannot be shared through Redis",
  discard: "what was discarded cannot be deleted from Redis",
  forgive: "what dead instances keep from others cannot be written off",
  close: "what was counted last could not be shared through Redis",
};

function list(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_PER_LINE).map((name) => JSON.stringify(name));
  const more = names.length - shown.length;
  return more === 0 ? shown.join(", ") : `${shown.join(", ")} and ${more} more`;
}
