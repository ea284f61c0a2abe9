import { messageOf } from "../../log/message-of.ts";
import { type Answer, ok, refuse } from "../problem.ts";
import type { RouteRequest } from "../routes.ts";
import type { ApiParts } from "./api-parts.ts";
import { noSuch } from "./settings/setting-change.ts";

/** Writes off what instances that died keep from others of a backend: what they had been granted, and their open reservations. */
export async function release({ router, sharing }: ApiParts, { params }: RouteRequest): Promise<Answer> {
  const upstream = router.upstreams.find(({ name }) => name === params.name);
  if (upstream === undefined) {
    return noSuch("backend");
  }
  if (sharing === undefined) {
    const detail = "The counter is local: no other instance can keep anything.";
    return refuse({ status: 409, title: "Conflict", detail });
  }
  try {
    return ok({ name: upstream.name, forgiven: await sharing.forgive(upstream.name) });
  } catch (error) {
    return refuse({ status: 503, title: "Redis failed", detail: messageOf(error) });
  }
}
