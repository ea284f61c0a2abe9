import { parseArgs } from "node:util";

export const HELP = `Usage: demo [--seconds N] [--stay] [--no-redis]

Two proxies that keep one account stand before three upstreams with small monthly
limits, which fill one after the other. One proxy is killed meanwhile, and Redis
loses all it holds. In the end, what the upstreams logged is compared with what
was counted and stored; the exit code is 0 only if that agrees.

  --seconds N   tells it in N seconds, from 5 to 3600; without it, in two minutes
  --stay        goes on after the end, refusing, until Ctrl-C
  --no-redis    does without Redis, as where no redis-server is installed
  --help        this text
`;

export interface DemoOptions {
  readonly seconds: number;
  /** Whether it goes on until it is told to end. */
  readonly stay: boolean;
  /** Whether it may start a Redis, where it finds one. */
  readonly redis: boolean;
}

const SECONDS = 120;
/** Two proxies start, and one of them again, within that time. */
const LEAST_SECONDS = 5;
const MOST_SECONDS = 3_600;

/** What the command line asks for: help, or a demo. @throws Error that says what is wrong with it. */
export function readCommandLine(args: readonly string[]): DemoOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    allowNegative: true,
    options: {
      seconds: { type: "string", default: String(SECONDS) },
      stay: { type: "boolean", default: false },
      redis: { type: "boolean", default: true },
      help: { type: "boolean", default: false },
    },
  });
  const { stay, redis, help } = values;
  if (help) return "help";
  const seconds = Number(values.seconds);
  if (seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS) return { seconds, stay, redis };
  const range = `from ${LEAST_SECONDS} to ${MOST_SECONDS}`;
  throw new RangeError(`--seconds must be a number ${range}, got ${JSON.stringify(values.seconds)}`);
}
