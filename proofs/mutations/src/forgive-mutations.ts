import { always, change, drop, instead, yields } from "./edits.ts";
import type { Mutation, NamedTest } from "./mutation.ts";
import { MODEL, schedule } from "./named-tests.ts";

const forgiving = (title: string): NamedTest => ({ file: "packages/counter-redis/test/forgiving.test.ts", title });
const LONG_HOLD = schedule("in which a hold is open for long, and whoever has it is written off once it is dead");
const ALIVE = schedule("in which somebody is written off who lives, and Redis is wiped once it has heard of that");

/** Of what dead instances keep from others. */
export const FORGIVE_MUTATIONS: readonly Mutation[] = [
  { name: "what was written off is not said again after a loss", edit: instead("forgiven: 0,"), caughtBy: [ALIVE] },
  { name: "uses on what was forgiven", edit: change(/ - this\.forgiven\(cell\)/, ""), caughtBy: [ALIVE] },
  { name: "says nothing of holds that go on for long", edit: always, caughtBy: [LONG_HOLD] },
  {
    name: "nobody says that it still holds what it holds",
    edit: change(/ or \(item\.has_pair and has_slack\(item\)\)/, ""),
    caughtBy: [forgiving("takes nobody for silent who has said again that it holds what it holds")],
  },
  {
    name: "what a living instance holds is forgiven",
    edit: change(/ and \(silent == 0 or .*\) then/, " then"),
    caughtBy: [forgiving("takes nobody for silent who has said again that it holds what it holds")],
  },
  {
    name: "who spoke before a loss is taken for silent since",
    edit: yields("0"),
    caughtBy: [forgiving("takes nobody for silent for longer than since something was lost")],
  },
  { name: "nobody hears of what is forgiven", edit: drop, caughtBy: [MODEL] },
];
