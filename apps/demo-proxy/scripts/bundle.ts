import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BundleError, writeBundle } from "./bundle/write-bundle.ts";

const HELP = `Usage: bundle [FOLDER]

Writes the proxy as it is deployed: JavaScript in a few files, the dashboard, and
SQLite's driver for this platform. The folder needs Node >= 24 and nothing else;
copy it to where it runs, and start app/usage-proxy.js in it.

  FOLDER       absent, empty, or an earlier bundle, which is replaced; relative to
               where you are. Without it: apps/demo-proxy/dist/usage-proxy
  -h, --help   this text
`;

const { values, positionals } = parseArgs({
  options: { help: { type: "boolean", short: "h", default: false } },
  allowPositionals: true,
});
if (values.help) {
  process.stdout.write(HELP);
} else if (positionals.length > 1) {
  process.stderr.write(`one folder is written, got ${positionals.join(", ")}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  await bundleInto(positionals[0]);
}

async function bundleInto(given: string | undefined): Promise<void> {
  // A package manager changes to the package's folder, and says in INIT_CWD where the user stands.
  const from = process.env.INIT_CWD ?? process.cwd();
  const folder =
    given === undefined ? fileURLToPath(new URL("../dist/usage-proxy", import.meta.url)) : resolve(from, given);
  try {
    const { bytes } = await writeBundle(folder);
    console.log(
      `${folder}: ${(bytes / 1e6).toFixed(1)} MB; start it with: node ${folder}/app/usage-proxy.js --config FILE`,
    );
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
