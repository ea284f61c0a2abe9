export interface Places {
  readonly redis: string;
  readonly postgres: string;
  /** By the name of the backend. */
  readonly upstreams: ReadonlyMap<string, URL>;
}

/** The limit of each backend that gets requests, by which the configuration in force is known. */
export function limitAfter(reloads: number): number {
  return 10 ** 12 + reloads;
}

/**
 * A configuration file. Nobody reaches its limits. Each reload changes them and who comes first, and every other time there is a
 * backend more, the last one, which gets no requests.
 */
export function configurationOf({ redis, postgres, upstreams }: Places, reloads: number): string {
  const isOdd = reloads % 2 === 1;
  const limit = limitAfter(reloads);
  const lines = [...upstreams].map(
    ([name, url]) => `  - { name: ${name}, url: "${url}", limits: { apiRequests: ${limit} } }`,
  );
  if (isOdd) lines.reverse().push(`  - { name: spare, url: "http://127.0.0.1:1" }`);
  return `listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
counter: { kind: redis, url: "${redis}", prefix: soak }
store: { kind: postgres, url: "${postgres}" }
flush: { intervalMs: 2000 }
backends:
${lines.join("\n")}
`;
}
