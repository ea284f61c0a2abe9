import type { StorageDimension, StoredUsage } from "@usage/counter-core";

/** What may be another than before: what is stored of backends, or what they are limited to. */
export type UsageChange<D extends string = StorageDimension> =
  | {
      /** Something of these was stored, they were brought in, or their limits were replaced. */
      readonly kind: "touched";
      /** The period's key. */
      readonly period: string;
      readonly backends: readonly string[];
    }
  | {
      /** This is stored of these, held or not. */
      readonly kind: "read";
      readonly period: string;
      readonly usage: ReadonlyMap<string, StoredUsage<D>>;
      /** Whether all was read that is held, and not what changed. */
      readonly isWhole: boolean;
    }
  | {
      /** The store has lost something that it had. */
      readonly kind: "lost";
    };
