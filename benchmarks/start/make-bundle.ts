import { execFile } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const SCRIPT = join(import.meta.dirname, "../../apps/demo-proxy/scripts/bundle.ts");

/** The proxy as it is deployed, in a folder that the caller removes. */
export async function makeBundle(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "usage-bundle-"));
  await promisify(execFile)(process.execPath, ["--conditions=@usage/source", SCRIPT, folder]);
  return folder;
}
