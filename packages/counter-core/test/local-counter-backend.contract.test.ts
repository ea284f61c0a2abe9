import { LocalCounterBackend } from "@usage/counter-core";
import { counterBackendContract } from "@usage/counter-core/testing";

counterBackendContract("LocalCounterBackend on heap cells", {
  create: (backends, clock) => new LocalCounterBackend(backends, { clock }),
  addBackends: (counter, names) => (counter as LocalCounterBackend).addBackends(names),
});

counterBackendContract("LocalCounterBackend on shared cells", {
  create: (backends, clock) => new LocalCounterBackend(backends, { clock, shared: true }),
});
