import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { stages } from "./deploy-files.ts";
import { run } from "./run.ts";
import { ROOT } from "./workspace.ts";

/**
 * Carries out the first stage of the Dockerfile in an empty folder, with what it copies and nothing else of the workspace.
 * Returns what `use` makes of the folder, which is gone afterwards.
 */
export async function inBuildStage<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "usage-build-"));
  try {
    const [build = []] = stages();
    for (const { name, args } of build) {
      if (name === "COPY") await copy(args.split(" "), folder);
      if (name === "RUN") await shell(args.replaceAll("/build/", `${folder}/`), folder);
    }
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The sources of a COPY, and where they go. */
async function copy(paths: readonly string[], folder: string): Promise<void> {
  const [target = "", sources] = [paths.at(-1), paths.slice(0, -1)];
  for (const source of sources) {
    const into = target.endsWith("/")
      ? join(folder, target, source.slice(source.lastIndexOf("/") + 1))
      : join(folder, target);
    await mkdir(dirname(into), { recursive: true });
    await cp(join(ROOT, source), into, { recursive: true, filter: (path) => !isIgnored(relative(ROOT, path)) });
  }
}

/** As .dockerignore has it. */
function isIgnored(path: string): boolean {
  return /(^|\/)(node_modules|dist|\.turbo|test)(\/|$)/.test(path) && path !== "proofs/test-servers/package.json";
}

/** With the Node that runs this. */
async function shell(command: string, folder: string): Promise<void> {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
  await run(folder, "sh", "-c", `PATH="${path}"; ${command}`);
}
