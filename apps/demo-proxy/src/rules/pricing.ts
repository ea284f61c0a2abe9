import type { Usage } from "@usage/counter-core";
import type { DimensionConfig, TokenProtocol } from "../config/proxy-config.ts";
import { TOKEN_DIMENSIONS } from "../counting/dimensions.ts";
import type { Reservation } from "../proxy/admission/reservation.ts";
import type { Demand } from "../proxy/admission/route.ts";
import type { Upstream } from "../proxy/upstream/upstream.ts";
import type { QuestionKinds } from "../tokens/question.ts";
import { TokenMeter } from "../tokens/token-meter.ts";
import { type QuestionKind, questionKind } from "../tokens/token-protocol.ts";
import { CostBook } from "./cost-book.ts";
import { CostMeter, joinedMeters, type RequestMeter } from "./request-meter.ts";

export interface PricingOptions {
  /** What of the requests is counted besides themselves and their bytes, by rules. @default nothing */
  readonly dimensions?: ReadonlyMap<string, DimensionConfig> | undefined;
  /** All that is counted. */
  readonly counted: readonly string[];
}

/** What requests cost besides themselves and their bytes: by rules, and in tokens. */
export class Pricing {
  readonly #costs: CostBook | undefined;
  /** The dimensions of rules. */
  readonly #own: readonly string[];
  /** Tokens of backends that came with a configuration are counted from the next start on. */
  readonly countsTokens: boolean;

  constructor({ dimensions, counted }: PricingOptions) {
    this.#costs = dimensions && new CostBook(dimensions);
    this.#own = [...(dimensions?.keys() ?? [])];
    this.countsTokens = TOKEN_DIMENSIONS.every((dimension) => counted.includes(dimension));
  }

  /** A request with what it costs by rules. */
  priced(demand: Demand): Demand {
    const costs = this.#costs?.costsOf(demand.request.method ?? "", demand.path);
    return costs === undefined ? demand : { ...demand, costs };
  }

  /** What a request asks models, by the protocols of those that it may go to; undefined: nothing that costs tokens. */
  questionKinds(demand: Demand, pool: readonly Upstream[]): QuestionKinds | undefined {
    const kinds = new Map<TokenProtocol, QuestionKind>();
    for (const { tokens } of pool) {
      const kind = tokens && !kinds.has(tokens) && questionKind(tokens, demand.request.method ?? "", demand.path);
      if (tokens && kind) kinds.set(tokens, kind);
    }
    return kinds.size === 0 ? undefined : kinds;
  }

  /**
   * Adds what a request may cost to what it will use.
   *
   * @param upstream where it would go. @default wherever it may
   */
  fill(usage: Partial<Usage>, { costs, questions }: Demand, upstream?: Upstream): void {
    const amounts = usage as Record<string, number>;
    for (const dimension of this.#own) amounts[dimension] = costs?.most[dimension] ?? 0;
    if (!this.countsTokens) return;
    const protocol = upstream === undefined ? questions?.keys().next().value : upstream.tokens;
    const estimate = protocol && questions?.get(protocol)?.estimate;
    for (const dimension of TOKEN_DIMENSIONS) amounts[dimension] = estimate?.[dimension] ?? 0;
  }

  /** Counts what a request costs at an upstream; undefined: nothing. */
  meterOf({ costs, questions }: Demand, upstream: Upstream, reservation: Reservation): RequestMeter | undefined {
    if (costs === undefined && questions === undefined) return undefined;
    const question = upstream.tokens && questions?.get(upstream.tokens);
    const onEstimated = (): void => {
      upstream.traffic.estimated += 1;
    };
    return joinedMeters(
      costs && new CostMeter(costs, reservation),
      question && new TokenMeter(question, reservation, onEstimated),
    );
  }
}
