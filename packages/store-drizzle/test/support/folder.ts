import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of the test's own. */
export async function freshFolder(): Promise<{ readonly path: string; dispose(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "usage-store-"));
  return { path, dispose: () => rm(path, { recursive: true, force: true }) };
}
