import type { Limits } from "@usage/counter-core";
import type { Request, RequestHandler, Response } from "express";
import { Meter, type Verdict } from "./middleware/meter.ts";
import type { MeterOptions } from "./middleware/meter-options.ts";
import type { MeteredUsage } from "./middleware/metered-usage.ts";
import { isGone, watchResponse } from "./middleware/node-response.ts";

export type { QuotaProblem } from "./http.ts";
export type { MeterOptions, ResponseEnd } from "./middleware/meter-options.ts";
export type { MeteredUsage } from "./middleware/metered-usage.ts";
export type { MeterProblem, Refusal } from "./middleware/refusal.ts";

/** What the functions of the options are called with. */
export type ExpressExchange = [req: Request, res: Response];

/**
 * Express middleware that counts each request for whom its `key` names, and refuses the one for which a limit leaves no room.
 *
 * @throws TypeError or RangeError that names the option which is wrong.
 * @example
 * ```ts
 * app.use(metered(usage, { key: (req) => req.get("x-api-key") }));
 * ```
 */
export function metered<D extends string, L = Limits<D>>(
  usage: MeteredUsage<D, L>,
  options: MeterOptions<NoInfer<D>, ExpressExchange, unknown, NoInfer<L>>,
): RequestHandler {
  const meter = new Meter<D, ExpressExchange, unknown, L>(usage, options);
  const { onRefused } = options;
  return (req, res, next) => {
    const proceed = (verdict: Verdict<D>): unknown => {
      if (verdict.kind === "gone") return undefined;
      if (verdict.kind === "skipped") return next();
      if (verdict.kind === "refused") {
        const { refusal } = verdict;
        setHeaders(res, refusal.headers);
        if (onRefused !== undefined) return onRefused(req, res, refusal);
        return res.status(refusal.status).type("application/problem+json").send(JSON.stringify(refusal.problem));
      }
      setHeaders(res, verdict.headers);
      if (verdict.admitted !== undefined) watchResponse(res, verdict.admitted);
      return next();
    };
    const verdict = meter.open([req, res], () => isGone(res));
    // Express takes what is thrown here, and what a promise rejects with.
    return (verdict instanceof Promise ? verdict.then(proceed) : proceed(verdict)) as void | Promise<void>;
  };
}

function setHeaders(res: Response, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) res.setHeader(name, headers[name] as string);
}
