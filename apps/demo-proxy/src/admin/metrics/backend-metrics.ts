import type { StorageDimension } from "@usage/counter-core";
import type { Upstream } from "../../proxy/upstream/upstream.ts";
import type { BackendReport } from "../api/usage/usage-report.ts";
import type { BackendLabels } from "./backend-labels.ts";
import { type Histograms, type LabelSet, label, labelSet, type MetricsText, type Samples } from "./text-format.ts";

/** A unit of its own for each: amounts of different units are never in one metric, where a sum would make no sense. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ["apiRequests", "requests"],
  ["egressBytes", "bytes that come out of the backend"],
  ["ingressBytes", "bytes that go into the backend"],
  ["inputTokens", "tokens that models read"],
  ["outputTokens", "tokens that models wrote"],
]);

/** What is told of each backend, one backend after the other: all numbers of one are of the same moment. */
export class BackendMetrics {
  readonly #amounts: readonly DimensionMetrics[];
  readonly #labels: BackendLabels;
  readonly #withinLimits: Samples;
  readonly #reachable: Samples;
  readonly #draining: Samples;
  readonly #trouble: Samples;
  readonly #problem: Samples;
  readonly #inFlight: Samples;
  readonly #open: Samples;
  readonly #upgraded: Samples;
  readonly #resent: Samples;
  readonly #responses: Samples;
  readonly #failures: Samples;
  readonly #rejections: Samples;
  readonly #reservationRejections: Samples;
  readonly #cuts: Samples;
  readonly #estimated: Samples | undefined;
  readonly #latency: Histograms;

  /** @param dimensions what is counted. */
  constructor(text: MetricsText, dimensions: readonly StorageDimension[], labels: BackendLabels) {
    this.#amounts = dimensions.map((dimension) => new DimensionMetrics(text, dimension));
    this.#labels = labels;
    this.#withinLimits = text.gauge({
      name: "usage_backend_within_limits",
      help: "Whether a plain GET would still be let through.",
    });
    this.#reachable = text.gauge({
      name: "usage_backend_reachable",
      help: "Whether it gets requests, if only to see whether it answers again.",
    });
    this.#draining = text.gauge({ name: "usage_backend_draining", help: "Whether it gets no new requests." });
    this.#trouble = text.gauge({
      name: "usage_backend_trouble",
      help: "1 while it is passed over or being tried again, with the code of what failed.",
    });
    this.#problem = text.gauge({
      name: "usage_backend_problem",
      help: "1 while exact limits cannot be asked for: unready not yet, offline not now.",
    });
    this.#inFlight = text.gauge({
      name: "usage_backend_in_flight_requests",
      help: "Requests that were given to it and are not over.",
    });
    this.#responses = text.counter({
      name: "usage_backend_responses_total",
      help: "Heads of final responses, by the class of their status.",
    });
    this.#open = text.gauge({ name: "usage_backend_open_websockets", help: "WebSockets that are open." });
    this.#upgraded = text.counter({ name: "usage_backend_websockets_total", help: "WebSockets that it has opened." });
    this.#resent = text.counter({
      name: "usage_backend_resent_requests_total",
      help: "Requests that it was sent twice, and are counted twice: a kept connection closed as they came.",
    });
    this.#failures = text.counter({
      name: "usage_backend_failures_total",
      help: "Requests that it could not be connected to for, or broke off.",
    });
    this.#rejections = text.counter({
      name: "usage_rejections_total",
      help: "Requests that passed a backend by, by the dimension whose limit was in the way.",
    });
    this.#reservationRejections = text.counter({
      name: "usage_reservation_rejections_total",
      help: "Of the rejections, those by what was only reserved: the limit was not used up.",
    });
    this.#cuts = text.counter({
      name: "usage_cut_bodies_total",
      help: "Bodies that were cut, or not begun, since an exact limit left no room for them.",
    });
    this.#estimated = dimensions.some((dimension: string) => dimension === "outputTokens")
      ? text.counter({
          name: "usage_backend_estimated_answers_total",
          help: "Answers of models that did not say what they cost: their tokens were estimated.",
        })
      : undefined;
    this.#latency = text.histogram({
      name: "usage_backend_latency_seconds",
      help: "Time from the choice of a backend to the head of its response.",
    });
  }

  add(report: BackendReport, { name, inFlight, traffic }: Upstream): void {
    const labels = this.#labels.of(name, traffic);
    const { backend } = labels;
    for (const amounts of this.#amounts) amounts.add(backend, report);
    this.#withinLimits.add(backend, Number(report.withinLimits));
    this.#reachable.add(backend, Number(report.reachable));
    this.#draining.add(backend, Number(report.draining));
    if (report.trouble !== null) this.#trouble.add(labelSet(labels.name, label("code", report.trouble.code)), 1);
    // fault: does not measure that exact limits cannot be asked for
    if (report.problem !== null) this.#problem.add(labelSet(labels.name, label("problem", report.problem)), 1);
    this.#inFlight.add(backend, inFlight);
    for (const [digit, status] of labels.statuses.entries()) {
      const count = traffic.responses[digit] ?? 0;
      // Classes that every backend has begin at zero, so that the first of them is seen as growth.
      if (digit >= 2 || count > 0) this.#responses.add(status, count);
    }
    this.#open.add(backend, traffic.open);
    this.#upgraded.add(backend, traffic.upgraded);
    this.#resent.add(backend, traffic.resent);
    this.#failures.add(labels.unconnected, traffic.unconnected);
    this.#failures.add(labels.broken, traffic.broken);
    for (const [d, dimension] of labels.dimensions.entries()) {
      this.#rejections.add(dimension, traffic.rejections[d] ?? 0);
      this.#reservationRejections.add(dimension, traffic.reservationRejections[d] ?? 0);
      this.#cuts.add(dimension, traffic.cuts[d] ?? 0);
    }
    this.#estimated?.add(backend, traffic.estimated);
    this.#latency.add(labels.latency, traffic.latency);
  }
}

/** `api_requests` of `apiRequests`. */
function metricName(dimension: string): string {
  return dimension.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

class DimensionMetrics {
  readonly #dimension: StorageDimension;
  readonly #usage: Samples;
  readonly #limits: Samples;
  readonly #granted: Samples;
  readonly #unstored: Samples;
  readonly #unpushed: Samples;
  readonly #held: Samples;
  readonly #excess: Samples;

  constructor(text: MetricsText, dimension: StorageDimension) {
    const name = metricName(dimension);
    const what = UNITS.get(dimension) ?? dimension;
    const used = `Usage of this period in ${what}, of all instances as far as known`;
    this.#dimension = dimension;
    this.#usage = text.gauge({ name: `usage_${name}`, help: `${used}.` });
    this.#limits = text.gauge({
      name: `usage_limit_${name}`,
      help: `Limit of a period in ${what}; absent where there is none, 0 where nothing may be used. What was granted is part of it.`,
    });
    this.#granted = text.gauge({
      name: `usage_granted_${name}`,
      help: `What of the limit was granted for this period alone, in ${what}; absent where there is no limit.`,
    });
    this.#unstored = text.gauge({
      name: `usage_unstored_${name}`,
      help: `${used}; what is not known to be stored.`,
    });
    this.#unpushed = text.gauge({
      name: `usage_unpushed_${name}`,
      help: `Usage of this period in ${what} that this instance has not shared.`,
    });
    this.#held = text.gauge({
      name: `usage_held_${name}`,
      help: `What running requests may still use and, with exact limits, what is granted and not used, in ${what}, of all instances as far as known.`,
    });
    this.#excess = text.gauge({
      name: `usage_excess_${name}`,
      help: `Usage of this period in ${what} that this instance counted beyond what was held for it.`,
    });
  }

  add(backend: LabelSet, { usage, limits, granted, unstored, unpushed, held, excess }: BackendReport): void {
    const dimension = this.#dimension;
    const limit = limits[dimension];
    this.#usage.add(backend, usage[dimension]);
    if (limit !== undefined) {
      this.#limits.add(backend, limit);
      this.#granted.add(backend, granted[dimension] ?? 0);
    }
    this.#unstored.add(backend, unstored[dimension]);
    this.#unpushed.add(backend, unpushed[dimension]);
    this.#held.add(backend, held[dimension]);
    this.#excess.add(backend, excess[dimension]);
  }
}
