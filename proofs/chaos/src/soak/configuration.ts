export interface Places {
  readonly redis: string;
  readonly postgres: string;
  /** By the name of the backend. */
  readonly upstreams: ReadonlyMap<string, URL>;
}

/**
 * A configuration file. Nobody reaches its limits. Each reload changes them and who comes first, and every other time there is a
 * backend more, the last one, which gets no requests.
 */
export function configurationOf({ redis, postgres, upstreams }: Places, reloads: number): string {
  const isOdd = reloads % 2 === 1;
  const limit = 10 ** 12 + reloads;
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
