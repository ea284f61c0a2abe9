import type { Usage } from "@usage/counter-core";
import { named, section } from "./expected.ts";
import { count, size, units } from "./values.ts";

/** What may be used in a period, by dimension. Which ones are counted is known where the whole file is. */
export const limits = named(
  section({
    apiRequests: count.exactOptional(),
    egressBytes: size.exactOptional(),
    ingressBytes: size.exactOptional(),
  })
    .catchall(units)
    .transform((given): Partial<Usage> => {
      // fault: leaves limits of 0 out of the configuration
      return Object.fromEntries(Object.entries(given).filter(([, limit]) => limit !== undefined));
    }),
);
