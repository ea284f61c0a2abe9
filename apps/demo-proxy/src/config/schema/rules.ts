import { METHODS } from "node:http";
import { STORAGE_DIMENSIONS } from "@usage/counter-core";
import { z } from "zod";
import { TOKEN_DIMENSIONS } from "../../counting/dimensions.ts";
import { COST_PRESETS } from "../../rules/cost-presets.ts";
import { HostPattern } from "../../rules/host-pattern.ts";
import { PathPattern } from "../../rules/path-pattern.ts";
import { nearMiss } from "../near-miss.ts";
import type { CostRule, DimensionConfig, RequestMatch, RouteConfig, TokenProtocol } from "../proxy-config.ts";
import { expected, named, section, shown, text, wholeNumber } from "./expected.ts";

/** One of them, or a list of them. */
function oneOrMore<T>(schema: z.ZodType<T>, what: string) {
  const aList = expected(`${what}, or a list of them`);
  const list = z.array(schema, aList).min(1, aList);
  const asList = (value: unknown): unknown => (value === undefined || Array.isArray(value) ? value : [value]);
  return z.preprocess(asList, list).meta({ orOne: true }).exactOptional();
}

const methodName = text("a method, such as GET", (value) => {
  const method = value.toUpperCase();
  if (METHODS.includes(method)) return method;
  const guess = nearMiss(method, METHODS);
  throw new RangeError(
    `${shown(value)} is no method${guess === undefined ? ", such as GET" : `, did you mean ${guess}?`}`,
  );
});
const path = text("a path, such as /v1/*", (value) => new PathPattern(value).text);
const host = text("a host, such as api.example.com or *.example.com", (value) => new HostPattern(value).text);

const method = oneOrMore(methodName, "a method, such as GET");
const paths = oneOrMore(path, "a path, such as /v1/*");

const match: z.ZodType<RequestMatch> = section({
  host: oneOrMore(host, "a host, such as *.example.com"),
  path: paths,
  method,
});

const someBackends = expected("a list of names of backends");

export const routes: z.ZodType<readonly RouteConfig[]> = z
  .array(
    section({
      match: match.exactOptional(),
      backends: z.array(z.string(someBackends), someBackends).min(1, someBackends),
    }),
    expected("a list of rules, each with the backends of its requests"),
  )
  .min(1, "give at least one rule, or leave it out: then every backend gets requests");

const anAmount = wholeNumber("units", 0, 1_000_000);
const query = text("the name of a parameter, or name=value", (value) => {
  if (!/^[^\s=&?#]+(?:=[^\s&?#]*)?$/.test(value)) throw new TypeError("no parameter");
  return value;
});
const status = z.preprocess(
  (value) => (typeof value === "number" ? String(value) : value),
  text("a status, such as 404 or 4xx", (value) => {
    if (!/^[1-5](?:\d\d|xx)$/i.test(value)) throw new TypeError("no status");
    return value.toLowerCase();
  }),
);

const costRule: z.ZodType<CostRule> = section({
  method,
  path: paths,
  query: oneOrMore(query, "the name of a parameter, or name=value"),
  status: oneOrMore(status, "a status, such as 404 or 4xx"),
  amount: anAmount.default(1),
});

const presets = [...COST_PRESETS.keys()];
const aDimension = expected(`a list of rules, or one of ${presets.join(", ")}`);

const rules: z.ZodType<readonly CostRule[]> = z.array(costRule, aDimension).min(1, aDimension);
const preset: z.ZodType<string> = text(`a list of rules, or one of ${presets.join(", ")}`, (value) => {
  if (COST_PRESETS.has(value)) return value;
  const guess = nearMiss(value, presets);
  const hint = guess === undefined ? ";" : `, did you mean ${guess}?`;
  throw new RangeError(`${shown(value)} is no ready-made list${hint} there are: ${presets.join(", ")}`);
});

// A union would not say what is wrong with one rule.
const dimension = z
  .unknown()
  .transform((value, context): DimensionConfig => {
    const { data, error } = (Array.isArray(value) ? rules : preset).safeParse(value);
    for (const issue of error?.issues ?? []) context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
    return data ?? z.NEVER;
  })
  .meta({ anyOf: [{ type: "array", minItems: 1, items: { type: "object" } }, { enum: presets }] });

/** Metrics begin with these words, and then with the name of a dimension. */
const RESERVED =
  /^(?:backend|cut|excess|flush|granted|held|limit|own|period|process|proxy|redis|reservation|rejections?|unpushed|unstored|webhook)(?=[A-Z]|$)/;

export const dimensions: z.ZodType<ReadonlyMap<string, DimensionConfig>> = named(
  z
    .record(z.string(), dimension, expected("a map of dimensions, such as { classA: r2-class-a }"))
    .superRefine((value, context) => {
      for (const name of Object.keys(value)) {
        const message = troubleOfName(name);
        if (message !== undefined) context.addIssue({ code: "custom", path: [name], message });
      }
    })
    .transform((value) => new Map(Object.entries(value))),
);

function troubleOfName(name: string): string | undefined {
  if ((STORAGE_DIMENSIONS as readonly string[]).includes(name)) return "is counted in any case; give it another name";
  if ((TOKEN_DIMENSIONS as readonly string[]).includes(name))
    return "is what backends[].tokens counts; give it another name";
  if (!/^[a-z][A-Za-z0-9]{0,63}$/.test(name)) return "is no name; give 1 to 64 letters and digits, such as classA";
  return RESERVED.test(name) ? "begins like a metric of the proxy; give it another name" : undefined;
}

const protocols = ["openai", "anthropic"] as const;
export const tokens: z.ZodType<TokenProtocol> = z.enum(protocols, expected(protocols.join(" or ")));
