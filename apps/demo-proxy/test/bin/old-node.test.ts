import { expect, it } from "vitest";
import { oldNode } from "../../src/bin/old-node.ts";

it.each(["24.0.0", "24.21.0", "25.1.0", "26.10.0", "100.0.0"])("Node %s is new enough", (version) => {
  expect(oldNode(version)).toBeUndefined();
});

it.each(["23.11.0", "22.14.0", "20.20.2", "9.99.0"])(
  "Node %s is too old, and the message says what is needed",
  (version) => {
    expect(oldNode(version)).toBe(`the usage proxy needs Node 24.0 or newer, and this is ${version}\n`);
  },
);

it("takes the Node that runs the tests", () => {
  expect(oldNode()).toBeUndefined();
});
