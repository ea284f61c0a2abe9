import { memoryStore } from "@usage/counter-core";
import { usageStoreContract } from "@usage/counter-core/testing";

usageStoreContract("a store in memory", {
  create: async () => {
    const store = memoryStore();
    return { store, reopen: async () => store, dispose: async () => {} };
  },
});
