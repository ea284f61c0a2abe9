import type { IncomingMessage, ServerResponse } from "node:http";
import { isKeptAlive } from "../http/keep-alive.ts";
import type { Cors, Preflight } from "./cors.ts";
import { type Problem, writeProblem } from "./problem.ts";
import { RefusalCounts } from "./refusal-counts.ts";
import { asS3, speaksS3 } from "./s3-problem.ts";

const CODES = 600;

/** The answers of the proxy's own, by status code: refusals, and what took the place of a backend's answer. */
export class OwnAnswers {
  /** Of those, the requests that no backend served, by cause. */
  readonly refusals: RefusalCounts = new RefusalCounts();
  readonly #counts: Float64Array = new Float64Array(CODES);
  readonly #keepAlive: string;
  readonly #cors: Cors | undefined;

  /**
   * @param keepAlive the `Keep-Alive` of those behind which a connection stays open.
   * @param cors lets pages of other sites read them. @default they cannot
   */
  constructor(keepAlive: string, cors?: Cors) {
    this.#keepAlive = keepAlive;
    this.#cors = cors;
  }

  /** Writes head and body of an answer, and counts it. The caller ends the response. */
  write(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
    const preflight = this.#cors?.preflight(request);
    if (preflight === undefined) {
      const told = speaksS3(request) ? asS3(problem) : problem;
      this.count(told.status);
      // fault: counts no refusal
      if (problem.cause !== undefined) {
        this.refusals.count(problem.cause);
      }
      writeProblem(response, this.#kept(response, this.#cors?.readable(request, told) ?? told));
    } else {
      this.count(preflight.status);
      response.writeHead(preflight.status, this.#kept(response, preflight).headers);
    }
  }

  #kept<A extends Preflight>(response: ServerResponse, answer: A): A {
    if (!isKeptAlive(response)) return answer;
    return { ...answer, headers: { ...answer.headers, "keep-alive": this.#keepAlive } };
  }

  /** Whether pages of an origin may read them. */
  mayBeReadBy(origin: string): boolean {
    return this.#cors?.allows(origin) === true;
  }

  count(status: number): void {
    (this.#counts[status] as number) += 1;
  }

  /** Those that were given, by code. */
  *[Symbol.iterator](): Generator<readonly [status: number, count: number]> {
    for (const [status, count] of this.#counts.entries()) if (count > 0) yield [status, count];
  }
}
