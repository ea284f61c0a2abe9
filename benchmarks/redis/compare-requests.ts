import { Child } from "../child.ts";
import { interleave, roundsOf, type Sample } from "../rounds.ts";
import type { CallTime, RequestSample, RequestSubject } from "./time-requests.ts";

/** In nanoseconds per call or request. */
export type RequestTimes = Record<keyof ReturnType<typeof samplesOf>, number[]>;

const SUBJECTS: readonly RequestSubject[] = ["local", "redis", "limiter", "pipelines"];
const ROUNDS = roundsOf({ rounds: 7, warmups: 2 });

/** What a request costs each subject: in a process of its own, in turn with the others. */
export async function compareRequests(url: string): Promise<RequestTimes> {
  const children = new Map(
    SUBJECTS.map((subject) => [subject, new Child("redis/time-requests.ts", { args: [url, subject] })]),
  );
  try {
    for (const child of children.values()) await child.ask();
    return await interleave(samplesOf(children), ROUNDS);
  } finally {
    await Promise.all(Array.from(children.values(), (child) => child.stop()));
  }
}

function samplesOf(children: ReadonlyMap<RequestSubject, Child>) {
  const sample =
    (subject: RequestSubject, name: RequestSample): Sample =>
    async () => {
      const { ns } = await (children.get(subject) as Child).ask<CallTime>({ sample: name });
      return ns;
    };
  return {
    recordLocal: sample("local", "record"),
    recordRedis: sample("redis", "record"),
    checkLocal: sample("local", "check"),
    checkRedis: sample("redis", "check"),
    limiter: sample("limiter", "serial"),
    pipelines: sample("pipelines", "serial"),
    limiterInFlight: sample("limiter", "parallel"),
    pipelinesInFlight: sample("pipelines", "parallel"),
  };
}
