import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

export type Packages = Pick<typeof import("@usage/counter-core"), "LocalCounterBackend"> &
  Pick<typeof import("@usage/tracker"), "UsageTracker">;

/** The packages of this checkout, or of another one, which may be so old that its tracker has no `tryRecord`. */
export async function packagesOf(checkout: string | undefined): Promise<Packages> {
  if (checkout === undefined) {
    const [core, tracker] = await Promise.all([import("@usage/counter-core"), import("@usage/tracker")]);
    return { ...core, ...tracker };
  }
  const [core, tracker] = await Promise.all(
    ["counter-core", "tracker"].map(async (name): Promise<Packages> => {
      return await import(pathToFileURL(resolve(checkout, "packages", name, "src/index.ts")).href);
    }),
  );
  return { ...core, ...tracker } as Packages;
}
