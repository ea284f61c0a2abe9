import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import express, { type Request, type RequestHandler, type Response } from "express";
import { answer } from "../child.ts";
import { interleave, roundsOf } from "../rounds.ts";
import { openSubjects, type Subject } from "./subjects.ts";

/** In nanoseconds per request. */
export type MiddlewareTimes = Record<Subject, number[]>;

const REQUESTS = 5_000;
const app = express();

// Argument: how many tenants come by turns.
const [, , count = "16"] = process.argv;
const tenants = Array.from({ length: Number(count) }, (_, i) => `tenant-${i}`);

/** Express's objects, without a connection. They are made before the time is taken. */
function exchanges(length = REQUESTS): readonly (readonly [Request, Response])[] {
  return Array.from({ length }, (_, i) => {
    const req = new IncomingMessage(new Socket());
    req.headers["x-api-key"] = tenants[i % tenants.length] as string;
    const res = new ServerResponse(req);
    Object.setPrototypeOf(req, app.request);
    Object.setPrototypeOf(res, app.response);
    return [req as Request, res as Response];
  });
}

/** One request after the other, until each is passed on; and the end of its answer. */
async function nsPerRequest(handler: RequestHandler): Promise<number> {
  const pairs = exchanges();
  const before = process.hrtime.bigint();
  for (const [req, res] of pairs) {
    await new Promise<void>((resolve, reject) => {
      void handler(req, res, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
    });
    res.emit("finish");
  }
  return Number(process.hrtime.bigint() - before) / pairs.length;
}

const subjects = await openSubjects();
// Who comes for the first time is not what is measured.
for (const tenant of tenants) {
  for (const handler of Object.values(subjects)) {
    const [[req, res]] = exchanges(1) as [readonly [Request, Response]];
    req.headers["x-api-key"] = tenant;
    await new Promise<void>((resolve) => void handler(req, res, () => resolve()));
    res.emit("finish");
  }
}
const samples = Object.fromEntries(
  Object.entries(subjects).map(([name, handler]) => [name, () => nsPerRequest(handler)]),
) as Record<Subject, () => Promise<number>>;
answer((await interleave(samples, roundsOf({ rounds: 21, warmups: 4 }))) satisfies MiddlewareTimes);
process.exit();
