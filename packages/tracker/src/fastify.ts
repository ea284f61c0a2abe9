import type { Limits } from "@usage/counter-core";
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";
import { Meter, type Verdict } from "./middleware/meter.ts";
import type { MeterOptions } from "./middleware/meter-options.ts";
import type { MeteredUsage } from "./middleware/metered-usage.ts";
import { isGone, watchResponse } from "./middleware/node-response.ts";

export type { QuotaProblem } from "./http.ts";
export type { MeterOptions, ResponseEnd } from "./middleware/meter-options.ts";
export type { MeteredUsage } from "./middleware/metered-usage.ts";
export type { MeterProblem, Refusal } from "./middleware/refusal.ts";

/** What the functions of the options are called with. */
export type FastifyExchange = [request: FastifyRequest, reply: FastifyReply];

/**
 * A hook for Fastify, of all routes or of one, that counts each request for whom its `key` names, and refuses the one for which a
 * limit leaves no room.
 *
 * @throws TypeError or RangeError that names the option which is wrong.
 * @example
 * ```ts
 * app.addHook("onRequest", metered(usage, { key: (request) => request.headers["x-api-key"] }));
 * ```
 */
export function metered<D extends string, L = Limits<D>>(
  usage: MeteredUsage<D, L>,
  options: MeterOptions<NoInfer<D>, FastifyExchange, unknown, NoInfer<L>>,
): onRequestHookHandler {
  const meter = new Meter<D, FastifyExchange, unknown, L>(usage, options);
  const { onRefused } = options;
  return (request, reply, done) => {
    const proceed = (verdict: Verdict<D>): unknown => {
      if (verdict.kind === "gone") return undefined;
      if (verdict.kind === "skipped") return done();
      if (verdict.kind === "refused") {
        const { refusal } = verdict;
        reply.headers(refusal.headers);
        if (onRefused !== undefined) return onRefused(request, reply, refusal);
        return void reply.code(refusal.status).type("application/problem+json").send(JSON.stringify(refusal.problem));
      }
      reply.headers(verdict.headers);
      if (verdict.admitted !== undefined) watchResponse(reply.raw, verdict.admitted);
      return done();
    };
    const fail = (error: unknown): void => done(error instanceof Error ? error : new Error(String(error)));
    try {
      const verdict = meter.open([request, reply], () => isGone(reply.raw));
      const answered = verdict instanceof Promise ? verdict.then(proceed) : proceed(verdict);
      if (answered instanceof Promise) answered.catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}
