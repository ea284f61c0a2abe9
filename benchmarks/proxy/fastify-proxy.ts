import fastifyHttpProxy from "@fastify/http-proxy";
import fastify from "fastify";
import { serve, upstreamOrigin } from "./serve.ts";

// As its README sets it up: no logger, its own defaults.
const server = fastify();
await server.register(fastifyHttpProxy, { upstream: upstreamOrigin() });
serve({ port: Number(new URL(await server.listen({ host: "127.0.0.1", port: 0 })).port) });
