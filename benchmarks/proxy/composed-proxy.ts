import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compose } from "@usage/demo-proxy/src/compose.ts";
import { parseConfig } from "@usage/demo-proxy/src/config/read-config.ts";
import { type Serving, serve, upstreamOrigin } from "./serve.ts";

export interface ComposedServing extends Serving {
  readonly adminPort: number;
}

const BACKENDS = 10;

// The demo proxy as its users start it: every default, SQLite, the admin listener; limits that are never reached.
const folder = await mkdtemp(join(tmpdir(), "usage-bench-"));
const limits = { apiRequests: 1e15, egressBytes: "8PB", ingressBytes: "8PB" };
const file = {
  listen: "127.0.0.1:0",
  admin: { listen: "127.0.0.1:0" },
  store: { kind: "sqlite", file: "usage.db" },
  backends: Array.from({ length: BACKENDS }, (_, index) => ({ name: `b${index}`, url: upstreamOrigin(), limits })),
};
const app = await compose(parseConfig(JSON.stringify(file), { file: "", folder }));
const { proxy, admin } = await app.start();
process.on("SIGTERM", async () => {
  await app.stop({ graceMs: 0 });
  await rm(folder, { recursive: true });
  process.exit();
});
serve({ port: proxy.port, adminPort: admin.port } satisfies ComposedServing);
