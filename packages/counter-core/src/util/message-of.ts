/** An error's message, and never what else hangs on it: drivers put queries and their parameters there. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
