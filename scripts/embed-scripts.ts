import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LUA = join(ROOT, "packages/counter-redis/lua");
const STORE = join(ROOT, "packages/store-drizzle");
/** What a bundle needs to have inside it, as a module: nothing reads files when it runs. */
export const MODULE: string = join(ROOT, "packages/counter-redis/src/server/scripts.ts");

type Dialect = "postgres" | "sqlite";

/** The same for the migrations of a store. */
export function migrationsFile(dialect: Dialect): string {
  return join(STORE, "src", dialect, "migrations.ts");
}

/** The module that has the text of every Lua script, with what they include. */
export function scriptsModule(): string {
  const read = (name: string): string => readFileSync(join(LUA, `${name}.lua`), "utf8");
  const names = readdirSync(LUA)
    .filter((file) => file.endsWith(".lua") && file !== "prelude.lua")
    .map((file) => file.slice(0, -".lua".length))
    .sort();
  const constants = names.map((name) => {
    const text = read(name).replace(/^-- @include (\w+)\n/m, (_, included: string) => read(included));
    const constant = name.replace(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
    return `export const ${constant}: string = ${JSON.stringify(text)};\n`;
  });
  return `// Made by \`pnpm embed\` from lua/*.lua: change those.\n\n${constants.join("\n")}`;
}

/** The module that has the text of every migration, in order. */
export function migrationsModule(dialect: Dialect): string {
  const folder = join(STORE, "migrations", dialect);
  const entries = readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .sort()
    .map((name) => `  ${JSON.stringify({ name, text: readFileSync(join(folder, name), "utf8") })},\n`);
  const type = "readonly { readonly name: string; readonly text: string }[]";
  return `// Made by \`pnpm embed\` from migrations/${dialect}/*.sql: change those.\n\nexport const MIGRATIONS: ${type} = [\n${entries.join("")}];\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(MODULE, scriptsModule());
  for (const dialect of ["postgres", "sqlite"] as const) {
    writeFileSync(migrationsFile(dialect), migrationsModule(dialect));
  }
}
