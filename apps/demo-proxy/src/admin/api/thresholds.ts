import type { ProxyConfig } from "../../config/proxy-config.ts";
import { thresholdsOf } from "../../webhooks/thresholds-of.ts";
import { jsonPieces } from "../json-pieces.ts";
import type { ApiParts } from "./usage-report.ts";

export interface ThresholdParts extends Pick<ApiParts, "router" | "tracker"> {
  /** The configuration in force. */
  readonly inForce: () => Pick<ProxyConfig, "thresholds" | "backends">;
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

/** The JSON of what is reached, to be written in turns. */
export function thresholdPieces(parts: ThresholdParts): Generator<string> {
  const { key } = parts.tracker.counter.period();
  return jsonPieces({ period: key }, "reached", reachedThresholds(parts));
}

function* reachedThresholds({ router, tracker, inForce }: ThresholdParts): Generator<ReachedThresholds> {
  const { thresholds, own } = thresholdsOf(inForce());
  for (const { name } of router.upstreams) {
    const { usage, limits } = tracker.check(name, {});
    for (const dimension of tracker.counter.dimensions) {
      const [limit = 0, used] = [limits[dimension], usage[dimension]];
      const reached = (own.get(name) ?? thresholds).filter((part) => limit > 0 && used >= part * limit);
      if (reached.length > 0) yield { backend: name, dimension, limit, usage: used, reached };
    }
  }
}
