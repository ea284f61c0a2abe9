/** How long shared counts are kept after their period, in milliseconds; nothing is pushed after that. */
export const RETENTION_MS: number = 40 * 86_400_000;
