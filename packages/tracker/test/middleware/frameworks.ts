import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { serve } from "@hono/node-server";
import type { Awaitable } from "@usage/counter-core";
import * as forExpress from "@usage/tracker/express";
import * as forFastify from "@usage/tracker/fastify";
import * as forHono from "@usage/tracker/hono";
import express, { type ErrorRequestHandler } from "express";
import { fastify } from "fastify";
import { Hono, type HonoRequest } from "hono";

/** What the routes have: the same in each framework. */
export const PIECE: Uint8Array = new Uint8Array(65_536);
export const PIECES = 500;
export const HELLO = "hello, wörld\n";

/** A request as the options of a test see it, whatever the framework. */
export interface Asked {
  readonly path: string;
  header(name: string): string | undefined;
}

/** The options of a test; they become those of each framework. */
export interface NeutralOptions {
  readonly key?: (asked: Asked) => Awaitable<string | null | undefined>;
  readonly plan?: (asked: Asked) => Awaitable<Record<string, number> | undefined>;
  readonly cost?: (asked: Asked) => Awaitable<Record<string, number>>;
  readonly settle?: (status: number, end: forExpress.ResponseEnd) => Awaitable<Record<string, number> | undefined>;
  readonly skip?: (asked: Asked) => Awaitable<boolean>;
  /** Answers 402 and this text. */
  readonly refusedText?: (refusal: forExpress.Refusal<string>) => string;
  readonly responseBytes?: string;
  readonly onError?: (error: unknown) => void;
  readonly waitMs?: number;
  readonly ttlMs?: number;
}

export interface Running {
  readonly url: string;
  /** How often a handler ran. */
  readonly handled: () => number;
  /** Each error that reached the framework's error handler. */
  readonly errors: readonly unknown[];
  stop(): Promise<void>;
}

export interface Framework {
  readonly name: string;
  start(usage: forExpress.MeteredUsage<string>, options: NeutralOptions): Promise<Running>;
}

const byApiKey = ({ header }: Asked): string | undefined => header("x-api-key");

/** Those that are the same for all. */
function plain({ responseBytes, onError, waitMs, ttlMs }: NeutralOptions) {
  return {
    ...(responseBytes !== undefined && { responseBytes }),
    ...(onError !== undefined && { onError }),
    ...(waitMs !== undefined && { waitMs }),
    ...(ttlMs !== undefined && { ttlMs }),
  };
}

const EXPRESS: Framework = {
  name: "Express",
  async start(usage, given) {
    let handled = 0;
    const errors: unknown[] = [];
    const { key = byApiKey, plan, cost, settle, skip, refusedText } = given;
    const asked = (req: express.Request): Asked => ({ path: req.path, header: (name) => req.get(name) });
    const app = express();
    app.use(
      forExpress.metered(usage, {
        key: (req) => key(asked(req)),
        ...(plan && { plan: (req) => plan(asked(req)) }),
        ...(cost && { cost: (req) => cost(asked(req)) }),
        ...(settle && { settle: (_req, res, end) => settle(res.statusCode, end) }),
        ...(skip && { skip: (req) => skip(asked(req)) }),
        ...(refusedText && { onRefused: (_req, res, refusal) => res.status(402).send(refusedText(refusal)) }),
        ...plain(given),
      }),
    );
    app.use((_req, _res, next) => {
      handled += 1;
      next();
    });
    app.get("/hello", (_req, res) => void res.send(HELLO));
    app.get("/empty", (_req, res) => void res.status(204).end());
    app.get("/throws", () => {
      throw new Error("the handler has failed");
    });
    app.get("/large", (_req, res) => void Readable.from(Array(PIECES).fill(PIECE)).pipe(res));
    app.get("/silent", (_req, res) => void res.write(PIECE));
    app.get("/breaks", (_req, res) => {
      res.write(PIECE);
      setTimeout(() => res.destroy(), 20);
    });
    const onError: ErrorRequestHandler = (error, _req, res, _next) => {
      errors.push(error);
      res.status(500).send("failed\n");
    };
    app.use(onError);
    const server = createServer(app).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      handled: () => handled,
      errors,
      stop: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  },
};

const FASTIFY: Framework = {
  name: "Fastify",
  async start(usage, given) {
    let handled = 0;
    const errors: unknown[] = [];
    const { key = byApiKey, plan, cost, settle, skip, refusedText } = given;
    const app = fastify({ forceCloseConnections: true });
    const asked = ({ url, headers }: { url: string; headers: Record<string, unknown> }): Asked => ({
      path: url,
      header: (name) => headers[name] as string | undefined,
    });
    app.addHook(
      "onRequest",
      forFastify.metered(usage, {
        key: (request) => key(asked(request)),
        ...(plan && { plan: (request) => plan(asked(request)) }),
        ...(cost && { cost: (request) => cost(asked(request)) }),
        ...(settle && { settle: (_request, reply, end) => settle(reply.statusCode, end) }),
        ...(skip && { skip: (request) => skip(asked(request)) }),
        ...(refusedText && { onRefused: (_req, reply, refusal) => reply.code(402).send(refusedText(refusal)) }),
        ...plain(given),
      }),
    );
    app.addHook("onRequest", async () => {
      handled += 1;
    });
    app.get("/hello", async () => HELLO);
    app.get("/empty", async (_request, reply) => reply.code(204).send());
    app.get("/throws", async () => {
      throw new Error("the handler has failed");
    });
    app.get("/large", async () => Readable.from(Array(PIECES).fill(PIECE)));
    app.get("/silent", (_request, reply) => {
      reply.hijack();
      reply.raw.write(PIECE);
    });
    app.get("/breaks", (_request, reply) => {
      reply.hijack();
      reply.raw.write(PIECE);
      setTimeout(() => reply.raw.destroy(), 20);
    });
    app.setErrorHandler(async (error, _request, reply) => {
      errors.push(error);
      return reply.code(500).send("failed\n");
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    return { url, handled: () => handled, errors, stop: () => app.close() };
  },
};

const HONO: Framework = {
  name: "Hono",
  async start(usage, given) {
    let handled = 0;
    const errors: unknown[] = [];
    const { key = byApiKey, plan, cost, settle, skip, refusedText } = given;
    const app = new Hono();
    const asked = ({ req }: { readonly req: HonoRequest }): Asked => ({
      path: req.path,
      header: (name) => req.header(name),
    });
    app.use(
      forHono.metered(usage, {
        key: (c) => key(asked(c)),
        ...(plan && { plan: (c) => plan(asked(c)) }),
        ...(cost && { cost: (c) => cost(asked(c)) }),
        ...(settle && { settle: (c, end) => settle(c.res.status, end) }),
        ...(skip && { skip: (c) => skip(asked(c)) }),
        ...(refusedText && { onRefused: (c, refusal) => c.text(refusedText(refusal), 402) }),
        ...plain(given),
      }),
    );
    app.use(async (_c, next) => {
      handled += 1;
      await next();
    });
    app.get("/hello", (c) => c.text(HELLO));
    app.get("/empty", (c) => c.body(null, 204));
    app.get("/throws", () => {
      throw new Error("the handler has failed");
    });
    app.get("/large", () => new Response(ReadableStream.from(Array(PIECES).fill(PIECE))));
    app.get("/silent", () => new Response(new ReadableStream({ start: (stream) => stream.enqueue(PIECE) })));
    app.get("/breaks", () => {
      let calls = 0;
      return new Response(
        new ReadableStream({
          async pull(stream) {
            calls += 1;
            if (calls === 1) return stream.enqueue(PIECE);
            await new Promise((resolve) => setTimeout(resolve, 20));
            stream.error(new Error("the handler has broken off"));
          },
        }),
      );
    });
    app.onError((error, c) => {
      errors.push(error);
      return c.text("failed\n", 500);
    });
    const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
    await new Promise((resolve) => server.once("listening", resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      handled: () => handled,
      errors,
      stop: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          if ("closeAllConnections" in server) server.closeAllConnections();
        }),
    };
  },
};

export const FRAMEWORKS: readonly Framework[] = [EXPRESS, FASTIFY, HONO];
