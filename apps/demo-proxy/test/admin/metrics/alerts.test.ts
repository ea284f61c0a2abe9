import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promtool } from "@usage/test-servers";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { busyProxy, METRIC } from "../../support/busy-proxy.ts";

const FOLDER = fileURLToPath(new URL("../../../prometheus/", import.meta.url));
const RULES = `${FOLDER}alerts.yaml`;
const TESTS = `${FOLDER}alerts.test.yaml`;

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
}

interface AlertTest {
  readonly alertname: string;
  readonly exp_alerts: readonly unknown[];
}

const rules: readonly Rule[] = parse(readFileSync(RULES, "utf8")).groups.flatMap(
  ({ rules }: { readonly rules: readonly Rule[] }) => rules,
);
const alerts = rules.flatMap(({ alert }) => alert ?? []);
const tests: readonly AlertTest[] = parse(readFileSync(TESTS, "utf8"), { merge: true }).tests.flatMap(
  ({ alert_rule_test }: { readonly alert_rule_test: readonly AlertTest[] }) => alert_rule_test,
);

describe("the alert rules", () => {
  it("are valid, and Prometheus's linter finds nothing", async () => {
    const { code, output } = await promtool(["check", "rules", "--lint=all", "--lint-fatal", RULES]);
    expect([code, output]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)]);
  });

  it("fire when they should, with these words, and not before", async () => {
    const { code, output } = await promtool(["test", "rules", TESTS]);
    expect([code, output]).toEqual([0, expect.not.stringContaining("FAILED")]);
  });

  it("are each seen to fire and not to fire", () => {
    const named = (isFiring: boolean) =>
      new Set(tests.filter(({ exp_alerts }) => exp_alerts.length > 0 === isFiring).map(({ alertname }) => alertname));
    expect(alerts.length).toBeGreaterThan(10);
    expect([...named(true)].sort()).toEqual([...alerts].sort());
    expect([...named(false)].sort()).toEqual([...alerts].sort());
  });

  it("ask for metrics that the proxy has", async () => {
    const { names, text } = await busyProxy();
    // Of some there is a value only while something is wrong.
    const known = new Set([...names, ...Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name]) => name)]);
    const asked = new Set(rules.flatMap(({ expr }) => expr.match(METRIC) ?? []));
    expect(asked.size).toBeGreaterThan(15);
    expect([...asked].filter((name) => !known.has(name))).toEqual([]);
  });
});
