/** How large heads may be, in bytes: request or status line, and headers. */
export interface HeadLimits {
  /** Of a client's request: a larger one is answered 431. @default 16_384 */
  readonly requestBytes: number;
  /** Of an upstream's response: a larger one is answered for with 502. @default 16_384 */
  readonly responseBytes: number;
}

export const DEFAULT_HEAD_LIMITS: HeadLimits = { requestBytes: 16_384, responseBytes: 16_384 };
