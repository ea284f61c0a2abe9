import type { Limits } from "@usage/counter-core";
import type { Context, MiddlewareHandler } from "hono";
import type { Admitted } from "./middleware/admitted.ts";
import { Meter } from "./middleware/meter.ts";
import type { MeterOptions } from "./middleware/meter-options.ts";
import type { MeteredUsage } from "./middleware/metered-usage.ts";

export type { QuotaProblem } from "./http.ts";
export type { MeterOptions, ResponseEnd } from "./middleware/meter-options.ts";
export type { MeteredUsage } from "./middleware/metered-usage.ts";
export type { MeterProblem, Refusal } from "./middleware/refusal.ts";

/** What the functions of the options are called with. */
export type HonoExchange = [c: Context];

/**
 * Hono middleware that counts each request for whom its `key` names, and refuses the one for which a limit leaves no room.
 *
 * @throws TypeError or RangeError that names the option which is wrong.
 * @example
 * ```ts
 * app.use(metered(usage, { key: (c) => c.req.header("x-api-key") }));
 * ```
 */
export function metered<D extends string, L = Limits<D>>(
  usage: MeteredUsage<D, L>,
  options: MeterOptions<NoInfer<D>, HonoExchange, Response | Promise<Response>, NoInfer<L>>,
): MiddlewareHandler {
  const meter = new Meter<D, HonoExchange, Response | Promise<Response>, L>(usage, options);
  const { onRefused } = options;
  return async (c, next) => {
    let hasWaited = false;
    // The signal costs a request object: only who has waited may have been left.
    const opening = meter.open([c], () => hasWaited && c.req.raw.signal.aborted);
    hasWaited = true;
    const verdict = await opening;
    if (verdict.kind === "gone") return new Response(null, { status: 499 });
    if (verdict.kind === "skipped") return next();
    if (verdict.kind === "refused") {
      const { refusal } = verdict;
      setHeaders(c, refusal.headers);
      if (onRefused !== undefined) return onRefused(c, refusal);
      const headers = { "content-type": "application/problem+json" };
      return c.body(JSON.stringify(refusal.problem), refusal.status, headers);
    }
    const { headers, admitted } = verdict;
    setHeaders(c, headers);
    try {
      await next();
    } catch (error) {
      admitted?.end(false);
      throw error;
    }
    // A response that the handler made by itself has none of what was set before.
    const [name] = Object.keys(headers);
    if (name !== undefined && !c.res.headers.has(name)) setHeaders(c, headers);
    if (admitted !== undefined) watchResponse(c, admitted);
    return undefined;
  };
}

function setHeaders(c: Context, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) c.header(name, headers[name] as string);
}

/** Tells of each piece of an answer's body that goes out, and of its end. */
function watchResponse<D extends string>(c: Context, admitted: Admitted<D>): void {
  const { body, status } = c.res;
  if (body === null || c.req.method === "HEAD" || status === 101) {
    admitted.end(true);
    return;
  }
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      admitted.countBytes(piece.byteLength);
      controller.enqueue(piece);
    },
    flush: () => admitted.end(true),
    cancel: () => admitted.end(false),
  });
  const response = new Response(body.pipeThrough(counted), c.res);
  c.res = undefined;
  c.res = response;
}
