import { LATENCY_BOUNDS, type UpstreamTraffic } from "../../proxy/upstream/upstream-traffic.ts";
import {
  type HistogramLabels,
  histogramLabels,
  type LabelSet,
  type LabelText,
  label,
  labelSet,
} from "./text-format.ts";

/** The classes by the first digit of the status. */
const STATUSES = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"].map((status) => label("status", status));
const [UNCONNECTED, BROKEN] = [label("reason", "unconnected"), label("reason", "broken")];

/** The labels of one backend's samples. */
export interface LabelsOfBackend {
  /** Its name alone, where more are to come. */
  readonly name: LabelText;
  readonly backend: LabelSet;
  /** By the first digit. */
  readonly statuses: readonly LabelSet[];
  readonly unconnected: LabelSet;
  readonly broken: LabelSet;
  /** By the dimension's place. */
  readonly dimensions: readonly LabelSet[];
  readonly latency: HistogramLabels;
}

/**
 * Renders each backend's labels once, not with every scrape. They stay as long as its traffic does, which is bound to its name,
 * and are forgotten with it.
 */
export class BackendLabels {
  readonly #dimensions: readonly LabelText[];
  readonly #kept = new WeakMap<UpstreamTraffic, LabelsOfBackend>();

  /** @param dimensions what is counted. */
  constructor(dimensions: readonly string[]) {
    this.#dimensions = dimensions.map((dimension) => label("dimension", dimension));
  }

  of(name: string, traffic: UpstreamTraffic): LabelsOfBackend {
    const kept = this.#kept.get(traffic);
    if (kept !== undefined) return kept;
    const labels = this.#render(label("backend", name));
    this.#kept.set(traffic, labels);
    return labels;
  }

  #render(name: LabelText): LabelsOfBackend {
    return {
      name,
      backend: labelSet(name),
      statuses: STATUSES.map((status) => labelSet(name, status)),
      unconnected: labelSet(name, UNCONNECTED),
      broken: labelSet(name, BROKEN),
      dimensions: this.#dimensions.map((dimension) => labelSet(name, dimension)),
      latency: histogramLabels(LATENCY_BOUNDS, name),
    };
  }
}
