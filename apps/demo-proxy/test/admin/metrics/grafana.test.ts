import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { busyProxy, METRIC } from "../../support/busy-proxy.ts";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string }[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

const dashboard = JSON.parse(readFileSync(new URL("../../../grafana/dashboard.json", import.meta.url), "utf8")) as {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { name: string; type: string; definition?: string }[] };
};

/** The metrics that a panel or a variable asks for. */
function asked(): Set<string> {
  const texts = [
    ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.map(({ definition = "" }) => definition),
  ];
  return new Set(texts.flatMap((text) => text.match(METRIC) ?? []));
}

it("every metric of the dashboard is there, and the dashboard shows every metric that there is", async () => {
  const { names } = await busyProxy();
  const all = asked();
  expect(all.size).toBeGreaterThan(30);
  expect([...all].filter((name) => !names.has(name))).toEqual([]);
  expect([...names].filter((name) => !all.has(name))).toEqual([]);
});

it("the dashboard takes its data source from a variable, and its panels do not overlap", () => {
  expect(dashboard.schemaVersion).toBe(42);
  expect(dashboard.templating.list[0]).toMatchObject({ name: "datasource", type: "datasource" });
  const panels = dashboard.panels.filter(({ type }) => type !== "row");
  for (const { title, datasource, targets = [] } of panels) {
    expect([title, datasource?.uid, targets.length > 0]).toEqual([
      title,
      expect.stringMatching(/^\$\{datasource\}$/),
      true,
    ]);
  }
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(Math.max(...dashboard.panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
});
