import type { Upstream } from "../../../proxy/upstream/upstream.ts";
import type { ApiParts } from "../api-parts.ts";

/** All backends but those that are let go of while a report is made in turns: nothing is known of them any more. */
export function* heldUpstreams({ router, tracker }: Pick<ApiParts, "router" | "tracker">): Generator<Upstream> {
  for (const upstream of router.upstreams) if (tracker.counter.has(upstream.name)) yield upstream;
}
