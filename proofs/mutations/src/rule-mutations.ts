import { change, drop, never, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";

const routes = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/rules/routes.test.ts", title });
const costs = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/rules/costs.test.ts", title });
const tokens = (title: string): NamedTest => ({ file: "apps/demo-proxy/test/rules/tokens.test.ts", title });

/** Rules of the proxy: which backends get a request, and what it costs. */
export const RULE_MUTATIONS: readonly Mutation[] = [
  {
    name: "goes by the path as it was written, however a backend reads it",
    edit: never,
    caughtBy: [routes("does not decide how a backend reads %s")],
  },
  {
    name: "takes a path for one below a prefix that it only begins like",
    edit: yields("path.startsWith(pattern)"),
    caughtBy: [routes("takes %s for one of %s")],
  },
  {
    name: "gives a request to the last rule that is for it",
    edit: change(/\.find\(/, ".findLast("),
    caughtBy: [routes("takes %s for one of %s")],
  },
  {
    name: "goes on routing by the rules of before",
    edit: change(/, routes: next\.routes/, ""),
    caughtBy: [routes("takes over other rules while it runs")],
  },
  {
    name: "counts by the path as it was written, however a backend reads it",
    edit: yields("costs[0] as Cost"),
    caughtBy: [costs("of %s %s that is answered %s holds and counts %j")],
  },
  {
    name: "counts nothing of a request that got no answer",
    edit: drop,
    caughtBy: [costs("counts the most that it could cost of a request that was written and got no answer")],
  },
  {
    name: "keeps free until the end what the answer did not cost",
    edit: yields("[] as [string, number][]"),
    caughtBy: [costs("holds what depends on the answer before it is asked, and counts what the answer says")],
  },
  {
    name: "counts tokens of what was refused",
    edit: change(/status < 200 \|\| status > 299/, "false"),
    caughtBy: [tokens("of %s are what is known of it")],
  },
  {
    name: "counts nothing where a provider says nothing",
    edit: yields("0"),
    caughtBy: [tokens("of %s are what is known of it")],
  },
  {
    name: "knows a question only by the path as it is mostly written",
    edit: yields("KINDS[protocol].find(([end]) => path.endsWith(end))?.[1]"),
    caughtBy: [tokens("are known of a question however its path is written")],
  },
];
