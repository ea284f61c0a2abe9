import { registerHooks } from "node:module";
import { MUTATIONS } from "./mutations.ts";

/** Preloaded with `--import`: the mutation named by `USAGE_MUTATION` is in the code that is loaded after this. */
const mutation = MUTATIONS.find(({ name }) => name === process.env.USAGE_MUTATION);
if (mutation === undefined) throw new Error(`no mutation is called ${String(process.env.USAGE_MUTATION)}`);
const { file, find, replace } = mutation;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(`/packages/${file}`)) return loaded;
    const source = String(loaded.source);
    if (source.split(find).length !== 2) throw new Error(`${file} has this not once: ${find}`);
    return { ...loaded, source: source.replace(find, () => replace) };
  },
});
