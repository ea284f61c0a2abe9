import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/read-config.ts";
import { configChange, describeChange, loggedChange } from "../../src/process/config-change.ts";

const read = (yaml: string) =>
  parseConfig(`${yaml}\nbackends: [{ name: one, url: "http://one.example" }]`, { file: "t.yaml", folder: "/" });
const LIVE = ["backends", "clients", "flush", "plans", "routes", "webhooks"] as const;
const between = (before: string, next: string) => ({
  ...configChange(read(before), read(next), LIVE),
  renewed: [],
  needRestart: [],
});
const client = (name: string, key = name, rest = "") => `{ name: ${name}, key: ${key}-0123456789abcdef${rest} }`;

describe("the line of a reload", () => {
  it("names clients and plans that are new, gone, or have another key or limit, and the other sections that changed", () => {
    const change = between(
      `plans: { free: { day: { apiRequests: 1 } }, old: { day: { apiRequests: 1 } }, same: { day: { apiRequests: 1 } } }
clients: [${client("gone")}, ${client("same", "same", ", plan: same")}, ${client("rotated")}, ${client("moved", "m", ", plan: free")}]`,
      `plans: { free: { day: { apiRequests: 2 } }, new: { day: { apiRequests: 1 } }, same: { day: { apiRequests: 1 } } }
clients: [${client("come")}, ${client("same", "same", ", plan: same")}, ${client("rotated", "other")}, ${client("moved", "m", ", plan: new")}]
flush: { intervalMs: 2000 }`,
    );
    expect(change).toMatchObject({
      added: [],
      clients: { added: ["come"], removed: ["gone"], changed: ["rotated", "moved"] },
      plans: { added: ["new"], removed: ["old"], changed: ["free"] },
      sections: ["flush"],
    });
    expect(describeChange(change)).toBe(
      'configuration taken over (added client "come"; removed client "gone"; changed client "rotated", "moved"; added plan "new"; removed plan "old"; changed plan "free"; changed flush)',
    );
    expect(JSON.stringify(loggedChange(change))).not.toContain("0123456789");
  });

  it("says nothing where nothing changed, and names the first of very many", () => {
    const clients = `clients: [${client("a")}]`;
    expect(describeChange(between(clients, clients))).toBe("configuration taken over");
    const many = Array.from({ length: 25 }, (_, i) => client(`c${i}`));
    const change = between(clients, `clients: [${many.join(", ")}]`);
    expect(describeChange(change)).toMatch(/added client "c0", .*"c19" and 5 more; removed client "a"\)$/);
    expect(loggedChange(change)).toMatchObject({ clients: { removed: ["a"], more: 5 } });
  });
});
