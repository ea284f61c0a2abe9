import { LocalCounterBackend, ThreadedCounterBackend } from "@usage/counter-core";
import { counterBackendContract } from "@usage/counter-core/testing";

counterBackendContract("LocalCounterBackend", {
  create: (backends, clock) => new LocalCounterBackend(backends, { clock }),
});

counterBackendContract("ThreadedCounterBackend", {
  create: (backends, clock) => new ThreadedCounterBackend(backends, { clock }),
  isOpen: false,
});
