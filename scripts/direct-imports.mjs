// For `node --import`, where drizzle-orm is loaded from its own files.
//
// Node asks for the package of every module, to know whether it is an ES module, and copies the `exports` of its package.json each
// time. Those of drizzle-orm are 130 kB, and it has hundreds of modules: half a second and 200 MB in every process. That all of
// them are ES modules is known, so nobody has to ask.
import * as modules from "node:module";

// Releases before Node 22.15 have none: there everything is as it was.
modules.registerHooks?.({
  resolve(specifier, context, next) {
    if (!specifier.startsWith(".") || !context.parentURL?.includes("/node_modules/drizzle-orm/")) {
      return next(specifier, context);
    }
    return { url: new URL(specifier, context.parentURL).href, format: "module", shortCircuit: true };
  },
});
