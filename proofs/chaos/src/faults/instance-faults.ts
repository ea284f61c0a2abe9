import type { Crew } from "../chaos/crew.ts";
import type { Faults } from "./fault.ts";

export const instanceFaults: Faults<Crew> = {
  killed: {
    async inject(crew, { detail }) {
      const place = crew.pick(detail);
      if (place !== undefined) await crew.kill(place);
    },
  },
  "killed while stopped": {
    async inject(crew, { detail, forMs }, pause) {
      const place = crew.pick(detail);
      if (place === undefined) return;
      crew.freeze(place);
      await pause(forMs);
      await crew.kill(place);
    },
  },
  "stopped for a while": {
    async inject(crew, { detail, forMs }, pause) {
      const place = crew.pick(detail);
      if (place === undefined) return;
      const member = crew.freeze(place);
      await pause(forMs);
      crew.thaw(member);
    },
  },
};
