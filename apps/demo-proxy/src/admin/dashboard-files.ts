import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { TextAnswer } from "./problem.ts";
import type { Route } from "./routes.ts";

/** The page, and the files that it is made of. */
export function dashboardRoutes(): readonly Route[] {
  return [
    { path: "/", methods: { GET: () => file("index.html") } },
    ...FILES.map((name): Route => ({ path: `/dashboard/${name}`, methods: { GET: () => file(name) } })),
  ];
}

const FOLDER = new URL("../dashboard/", import.meta.url);
/** All that is ever read from the folder, besides the page. */
const FILES = [
  "audit.js",
  "backend-state.js",
  "backends.css",
  "backends.js",
  "base.css",
  "card.js",
  "changes.js",
  "chart.js",
  "client-form.js",
  "client.js",
  "clients.js",
  "controls.css",
  "dashboard.js",
  "dom.js",
  "format.js",
  "grants.js",
  "icon.svg",
  "instances.js",
  "limit-fields.js",
  "limits-form.js",
  "list-view.js",
  "live.js",
  "meter.js",
  "months.css",
  "months.js",
  "narrow.css",
  "page.css",
  "polls.js",
  "setting-form.js",
  "signature.js",
  "sparkline.js",
  "status.js",
  "table.js",
  "thresholds-form.js",
  "thresholds.js",
  "timeline.css",
  "timeline.js",
  "uplot.css",
  "uplot.js",
  "verdict.css",
  "verdict.js",
] as const;

/** What comes from a package. A bundle has it in the folder, beside the rest. */
const PACKAGED: Readonly<Record<string, string>> = {
  "uplot.css": "uplot/dist/uPlot.min.css",
  "uplot.js": "uplot/dist/uPlot.esm.js",
};

function placeOf(name: string): URL {
  const place = new URL(name, FOLDER);
  const packaged = PACKAGED[name];
  return packaged === undefined || existsSync(place) ? place : new URL(import.meta.resolve(packaged));
}

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/** Only what comes from here, nothing inline; forms and frames not at all. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

async function file(name: string): Promise<TextAnswer> {
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "text/plain";
  const text = await readFile(placeOf(name), "utf8");
  return { status: 200, headers: { "content-type": type, "content-security-policy": PAGE_POLICY }, text };
}
