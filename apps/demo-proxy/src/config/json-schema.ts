import { z } from "zod";
import { configFile } from "./schema/config-file.ts";

/** What editors check and complete a configuration by. Looser than the check at the start: what only code can tell is not in it. */
export function configJsonSchema(): object {
  return {
    ...z.toJSONSchema(configFile, { io: "input", unrepresentable: "any" }),
    title: "Configuration of the usage demo proxy",
  };
}
