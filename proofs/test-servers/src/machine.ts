import { readFileSync } from "node:fs";
import { arch, cpus, totalmem, type } from "node:os";

/** The machine in one line each: what the numbers depend on. */
export function machineText(): string {
  const [cpu] = cpus();
  return [
    `- CPU: ${cpus().length} x ${cpu?.model ?? "unknown"}`,
    `- Memory: ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `- System: ${systemName()}, ${arch()}`,
    `- Node: ${process.versions.node}, V8 ${process.versions.v8}`,
  ].join("\n");
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? type();
  } catch {
    return type();
  }
}
