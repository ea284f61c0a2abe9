import { chromiumBinary } from "@usage/test-servers";
import { type Browser, chromium } from "playwright-core";

// Nothing that a browser does by itself when it starts, and no sandbox, which root cannot have.
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A headless Chromium with a profile of its own. Whoever starts it closes it. */
export async function launchBrowser(settings: readonly string[] = []): Promise<Browser> {
  const { path, args, env } = await chromiumBinary();
  return chromium.launch({
    executablePath: path,
    args: [...args, ...QUIET, ...settings],
    env: { ...environment(), ...env },
  });
}

function environment(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value]] : [])));
}
