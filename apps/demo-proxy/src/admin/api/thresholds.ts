import type { ClientUsage } from "../../clients/client-usage.ts";
import { type ClientWindow, STORED_WINDOWS } from "../../clients/client-windows.ts";
import type { ProxyConfig } from "../../config/proxy-config.ts";
import { thresholdsOf } from "../../webhooks/thresholds-of.ts";
import { jsonPieces } from "../json-pieces.ts";
import type { ApiParts } from "./api-parts.ts";
import { heldUpstreams } from "./usage/held-upstreams.ts";

export interface ThresholdParts extends Pick<ApiParts, "router" | "tracker"> {
  /** The configuration in force. */
  readonly inForce: () => Pick<ProxyConfig, "thresholds" | "backends">;
  readonly clientUsage: ClientUsage;
}

/** What `GET /api/thresholds` lists: a limit of which something is reached in this period, by what is counted, stored or not. */
export interface ReachedThresholds {
  readonly backend: string;
  readonly dimension: string;
  readonly limit: number;
  readonly usage: number;
  /** In ascending order. */
  readonly reached: readonly number[];
}

/** The same of a client, in a window of it. */
export interface ReachedByClient extends Omit<ReachedThresholds, "backend"> {
  readonly client: string;
  readonly window: ClientWindow;
  /** The key of the window's period. */
  readonly period: string;
}

/** The JSON of what is reached, to be written in turns. */
export function thresholdPieces(parts: ThresholdParts): Generator<string> {
  const { key } = parts.tracker.counter.period();
  return jsonPieces({ period: key }, "reached", reachedThresholds(parts));
}

function* reachedThresholds(parts: ThresholdParts): Generator<ReachedThresholds | ReachedByClient> {
  yield* reachedByBackends(parts);
  yield* reachedByClients(parts);
}

function* reachedByBackends(parts: ThresholdParts): Generator<ReachedThresholds> {
  const { tracker, inForce } = parts;
  const { thresholds, own } = thresholdsOf(inForce());
  for (const { name } of heldUpstreams(parts)) {
    const { usage, limits } = tracker.check(name, {});
    for (const dimension of tracker.counter.dimensions) {
      const [limit = 0, used] = [limits[dimension], usage[dimension]];
      const reached = reachedOf(own.get(name) ?? thresholds, limit, used);
      if (reached.length > 0) yield { backend: name, dimension, limit, usage: used, reached };
    }
  }
}

function* reachedByClients({ clientUsage, tracker }: ThresholdParts): Generator<ReachedByClient> {
  for (const { name, limits, thresholds = {} } of clientUsage.accounts()) {
    for (const window of STORED_WINDOWS) {
      const parts = thresholds[window];
      if (parts === undefined || limits[window] === undefined) continue;
      const [usage, of] = [clientUsage.totalOf(name, window), clientUsage.limitsOf(name, window)];
      for (const dimension of tracker.counter.dimensions) {
        const [limit = 0, used] = [of[dimension], usage[dimension]];
        const reached = reachedOf(parts, limit, used);
        if (reached.length === 0) continue;
        const period = clientUsage.periodOf(name, window).key;
        yield { client: name, window, period, dimension, limit, usage: used, reached };
      }
    }
  }
}

/** In ascending order. A limit of 0 has none. */
export function reachedOf(parts: readonly number[], limit: number, usage: number): readonly number[] {
  return parts.filter((part) => limit > 0 && usage >= part * limit);
}
