import type { Redis } from "ioredis";

/** What a server has used since it was started. */
export interface ServerUse {
  readonly cpuUs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** In use now, in bytes. */
  readonly memory: number;
}

/** Asks on a connection that is used for nothing else; the answer itself is some five kilobytes of `bytesOut`. */
export async function serverUse(admin: Redis): Promise<ServerUse> {
  const info = await admin.info();
  const field = (name: string): number => {
    const [, value] = new RegExp(`^${name}:(\\S+)`, "m").exec(info) ?? [];
    if (value === undefined) throw new Error(`INFO has no ${name}`);
    return Number(value);
  };
  return {
    cpuUs: (field("used_cpu_sys") + field("used_cpu_user")) * 1e6,
    bytesIn: field("total_net_input_bytes"),
    bytesOut: field("total_net_output_bytes"),
    memory: field("used_memory"),
  };
}
