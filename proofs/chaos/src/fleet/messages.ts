import type { BookEntry } from "./book.ts";

/** How an instance is told what to be: the JSON of this, as its only argument. */
export interface InstanceSettings {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly prefix: string;
  /** Counted by all instances, and named at the start. */
  readonly backends: readonly string[];
  /**
   * How many tenants come to all instances, a few at a time; each instance has some of its own, too. Nobody names them before they
   * come, and they are let go of and come back. @default 0
   */
  readonly tenants?: number;
  /** How many more are named at the start, of which hardly one is counted at any time. @default 0 */
  readonly idle?: number;
  /** How long a tenant must be unused before it may be let go of, in milliseconds. @default that of the packages */
  readonly idleMs?: number;
  /** Absent: it flushes only when told. */
  readonly flushIntervalMs?: number;
  /** The longest that a flush or a statement may take, in milliseconds. @default those of the packages */
  readonly timeoutMs?: number;
  /** How far its clock is ahead of the machine's, in milliseconds. @default 0 */
  readonly clockOffsetMs?: number;
  /** The shortest pause between two steps of its load, in milliseconds; the longest is three times that. @default 1 */
  readonly stepMs?: number;
  /** Tells what it is about to record before every step, and what of it is shared and stored. @default false */
  readonly reports?: boolean;
  /** Absent: its limits are approximate, and it uses nothing that has one. */
  readonly limited?: LimitedSettings;
}

/** What an instance with exact limits uses: of one backend at a time, the same one on all instances. */
export interface LimitedSettings {
  /** What it was let use is written to a file there, under its own name. */
  readonly folder: string;
  /** Of API requests, of each limited backend. */
  readonly limit: number;
  /**
   * How long it is the same backend, in milliseconds; its limit is half as high again from the middle of that on.
   *
   * @default for ever
   */
  readonly waveMs?: number;
  /** The share of steps that use it. @default 1 */
  readonly share?: number;
  /** How often a step uses it. @default 1 */
  readonly burst?: number;
  /** How long a use that was refused waits, in milliseconds. @default 300 */
  readonly waitMs?: number;
  /** @default that of the package */
  readonly leaseMs?: number;
}

/** What it is told. Each is answered with one message, when it is done. */
export type FleetCommand =
  /** Counts in small steps until it is told to rest, and flushes without a pause meanwhile if `flushing`. Answers at once. */
  | { readonly command: "load"; readonly flushing?: boolean }
  /** Answers the entries of all that it has recorded. */
  | { readonly command: "rest" }
  /** Answers whether it worked. */
  | { readonly command: "flush" }
  /** Answers how the flushes of its loads went, and why the last one failed that did. */
  | { readonly command: "flushes" }
  /** Brings these in, and answers the totals of the current period by backend, as it sees them, of all that it holds. */
  | { readonly command: "totals"; readonly backends?: readonly string[] }
  /** Answers when it last exchanged all counts, on the machine's clock; nothing while Redis is not tried. */
  | { readonly command: "shared" }
  /** Keeps so much of what is limited free, in one piece. Answers whether there was room. */
  | { readonly command: "reserve"; readonly amount: number }
  /** Uses what is kept free, however much is under way. */
  | { readonly command: "settle" }
  /** Stores and shares all, closes all, answers what it has recorded, and ends by itself. */
  | { readonly command: "stop" };

export interface Flushes {
  good: number;
  failed: number;
  error?: string;
}

export type Amounts = Readonly<Record<string, number>>;
export type AmountsByBackend = Readonly<Record<string, Amounts>>;

/** Whatever an instance says of itself. */
export type FleetMessage =
  | { readonly kind: "ready"; readonly writer: string }
  | { readonly kind: "answer"; readonly answer: unknown }
  | ({ readonly kind: "step" } & StepReport)
  | { readonly kind: "stored"; readonly entries: readonly BookEntry[] }
  | ({ readonly kind: "silence" } & Silence);

/** How long it exchanged no counts, on the machine's clock: told afterwards, where it uses limits and that took seconds. */
export interface Silence {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Sent before a step is recorded: whatever is recorded was planned in a message that arrives. */
export interface StepReport {
  readonly period: string;
  /** Recorded next, in this period; or not at all, when the period changes meanwhile. */
  readonly step: readonly (readonly [backend: string, usage: Amounts])[];
  /** Whether the step before this one was recorded. */
  readonly isLastRecorded: boolean;
  /** What of this period is not shared, as far as known, of each backend that is held and not idle. Of others, all is shared. */
  readonly unpushed: AmountsByBackend;
  /** What it sees of this period, by all instances, of each backend that is held and not idle. */
  readonly view: AmountsByBackend;
  /** What it brought in since it told this last: what it saw before of these is forgotten. */
  readonly takenUp: readonly string[];
  /** When all counts were last exchanged, on the machine's clock. */
  readonly sharedAtMs?: number;
}
