#!/usr/bin/env node
import { oldNode } from "./old-node.ts";

// Before anything else is read: an older Node would fail in the middle of some package, and not say why.
const wrong = oldNode();
if (wrong === undefined) {
  await import("../repair/main.ts");
} else {
  process.stderr.write(wrong);
  process.exitCode = 1;
}
