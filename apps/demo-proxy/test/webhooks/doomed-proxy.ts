import type { UsageStore } from "@usage/counter-core";
import { compose } from "../../src/compose.ts";
import { loadConfig } from "../../src/config/read-config.ts";
import { openStore } from "../../src/counting/open-store.ts";

/**
 * A proxy in a process of its own, which is killed one day: started on the `proxy.yaml` of the folder that is its first argument.
 * It sends where it listens, and flushes with every message. `CUT` says after what it does nothing more for a webhook: `claimed`, it
 * says so, and takes nothing out of the outbox; `told`, it does not say that it has told anything.
 */
const [, , folder = ""] = process.argv;
const config = await loadConfig("proxy.yaml", folder, process.env);
const store: UsageStore = await openStore(config.store);
const never = (): Promise<never> => new Promise(() => {});
const claim = store.claim?.bind(store);
if (process.env.CUT === "claimed" && claim !== undefined) {
  store.notices = never;
  store.claim = async (marks) => {
    const fresh = await claim(marks);
    process.send?.("claimed");
    return fresh;
  };
}
if (process.env.CUT === "told") store.acknowledge = never;
const app = await compose(config, {
  store,
  webhookTimes: { timeoutMs: 1_500, retryMs: { first: 2_000, max: 2_000 } },
});
const { proxy } = await app.start();
process.on("message", async () => {
  await app.flusher.flush();
  process.send?.("flushed");
});
process.send?.(proxy);
