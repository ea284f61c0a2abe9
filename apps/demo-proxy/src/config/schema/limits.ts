import { STORAGE_DIMENSIONS, type Usage } from "@usage/counter-core";
import { section } from "./expected.ts";
import { count, size } from "./values.ts";

/** What may be used in a period, by dimension. */
export const limits = section({
  apiRequests: count.exactOptional(),
  egressBytes: size.exactOptional(),
  ingressBytes: size.exactOptional(),
}).transform((given): Partial<Usage> => {
  const limited: { -readonly [D in keyof Usage]?: Usage[D] } = {};
  for (const dimension of STORAGE_DIMENSIONS) {
    const limit = given[dimension];
    // fault: leaves limits of 0 out of the configuration
    if (limit !== undefined) limited[dimension] = limit;
  }
  return limited;
});
