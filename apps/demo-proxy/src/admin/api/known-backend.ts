import type { ApiParts } from "./api-parts.ts";

/** Whether there is a backend of this name, or was one: something of it is stored. Rejects when the store fails. */
export async function isKnownBackend(
  { router, store }: Pick<ApiParts, "router" | "store">,
  name: string,
): Promise<boolean> {
  if (router.upstreams.some((upstream) => upstream.name === name)) return true;
  return (await store.history({ backend: name })).length > 0;
}
