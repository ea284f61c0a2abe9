import type { ProxyConfig } from "../config/proxy-config.ts";
import { countedDimensions } from "../counting/dimensions.ts";
import { namesIn } from "./names-in-file.ts";
import type { KnownChange } from "./setting-subject.ts";

const MOST_NAMES = 10;

/** What of these changes cannot be in force since the file does not have any more what they name: one for each such name. */
export function complaintsOf(file: ProxyConfig, changes: readonly KnownChange[]): readonly string[] {
  const [named, counted] = [namesIn(file), countedDimensions(file) as readonly string[]];
  const [plans, dimensions] = [new Map<string, string[]>(), new Map<string, string[]>()];
  const add = (to: Map<string, string[]>, name: string, { subject }: KnownChange): void => {
    const whose = `${subject.kind} ${JSON.stringify(subject.name)}`;
    to.set(name, [...(to.get(name) ?? []), whose]);
  };
  for (const change of changes) {
    const { subject, setting, value } = change;
    if (!named[subject.kind].has(subject.name)) continue;
    if (setting === "plan" && typeof value === "string" && !named.plan.has(value)) add(plans, value, change);
    if (setting !== "limits") continue;
    const limits = subject.kind === "backend" ? [value] : Object.values(Object(value));
    const unknown = limits.flatMap((amounts) => Object.keys(Object(amounts))).filter((name) => !counted.includes(name));
    for (const dimension of new Set(unknown)) add(dimensions, dimension, change);
  }
  return [
    ...Array.from(plans, ([plan, whose]) => {
      const what = `the plan ${JSON.stringify(plan)}, which ${listed(whose)} had by API, is not in the configuration any more`;
      return `${what}: they have what the file says, or may use nothing where that is no limit; give them another plan, or take that back`;
    }),
    ...Array.from(dimensions, ([dimension, whose]) => {
      const what = `${dimension}, of which ${listed(whose)} had a limit by API, is not counted any more`;
      return `${what}: change these limits, or take them back`;
    }),
  ];
}

function listed(names: readonly string[]): string {
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return `${names.slice(0, MOST_NAMES).join(", ")}${more}`;
}
