import { z } from "zod";

/** What one method of a path takes and answers. */
export interface Operation {
  readonly summary: string;
  /** Where no token is asked for. @default false */
  readonly isOpen?: boolean;
  readonly query?: z.ZodObject;
  readonly header?: z.ZodObject;
  readonly body?: { readonly schema: z.ZodType; readonly required: boolean };
  /** By status: JSON, or a text of that type. */
  readonly answers: Readonly<Record<number, z.ZodType | { readonly type: string }>>;
  /** What else it may answer, as problem+json: why, by status, and what it says besides. */
  readonly problems?: Readonly<Record<number, string | { readonly why: string; readonly more: z.ZodObject }>>;
  /** Whether its answers have the revision of a setting. @default false */
  readonly isRevised?: boolean;
}

export type Described = Readonly<Partial<Record<"GET" | "POST" | "PUT" | "DELETE", Operation>>>;

export const instant = z.string().meta({ format: "date-time", description: "ISO 8601, in UTC." });
export const maybeInstant = instant.nullable();
export const maybeText = z.string().nullable();
export const count = z.int().min(0);
export const amounts = z
  .record(z.string(), count)
  .meta({ id: "Amounts", description: "By dimension, such as apiRequests, egressBytes and ingressBytes." });
export const rates = z.record(z.string(), z.number()).meta({ id: "Rates", description: "Per second, by dimension." });
export const period = z
  .object({ key: z.string(), start: instant, end: instant })
  .meta({ id: "Period", description: "The key is such as 2026-01." });

/** RFC 9457. */
export const problem = z
  .object({
    type: z.literal("about:blank"),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().meta({ description: "What the caller can do about it." }),
  })
  .meta({ id: "Problem" });

export const STORE_FAILED = "The store failed.";
export const NO_BACKEND = "No backend has this name.";
export const NO_CLIENT = "No client has this name.";
export const ODD_BODY = { 400: "The body is not what is taken here.", 413: "The body is too long." } as const;
