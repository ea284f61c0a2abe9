import { systemClock } from "@usage/counter-core";
import { describe, expect, test } from "vitest";
import { booksOf } from "../../src/proxy/admission/books.ts";
import { Reservation } from "../../src/proxy/admission/reservation.ts";
import { dial, send } from "./client.ts";
import { refusingPort, respond, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

describe("limits", () => {
  test("of fifty requests at once exactly those pass for which one is left", async () => {
    const upstream = await startUpstream((_request, response) => {
      setTimeout(() => respond(response, 200, 1), 50);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { apiRequests: 7 } } });
    const replies = await Promise.all(Array.from({ length: 50 }, () => send(proxy.port, "/")));
    expect(replies.filter((reply) => reply.status === 200)).toHaveLength(7);
    expect(replies.filter((reply) => reply.status === 429)).toHaveLength(43);
    expect(upstream.requests).toHaveLength(7);
    expect(proxy.usage("a").apiRequests).toBe(7);
  });

  test("of fifty requests at once, whose bytes nobody knows yet, one passes where one byte is left", async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume().on("end", () => setTimeout(() => respond(response, 200, 1_000), 50));
    });
    const limits = { down: { egressBytes: 1 }, up: { ingressBytes: 1 } };
    const down = await startProxy({ upstreams: { down: upstream.port }, limits });
    const gets = await Promise.all(Array.from({ length: 50 }, () => send(down.port, "/")));
    expect(gets.filter((reply) => reply.status === 200)).toHaveLength(1);
    expect(down.usage("down")).toMatchObject({ apiRequests: 1, egressBytes: 1_000 });
    const up = await startProxy({ upstreams: { up: upstream.port }, limits });
    const chunked = { method: "PUT", body: ["some", "thing"] };
    const puts = await Promise.all(Array.from({ length: 50 }, () => send(up.port, "/", chunked)));
    expect(puts.filter((reply) => reply.status === 200)).toHaveLength(1);
    expect(up.usage("up")).toMatchObject({ apiRequests: 1, ingressBytes: 9 });
  });

  test("of 0 let nothing through in that dimension, in either policy, and promise no better time", async () => {
    for (const policy of ["pack", "spread"] as const) {
      const upstream = await startUpstream((request, response) => {
        request.resume().on("end", () => respond(response, 200, 1));
      });
      const proxy = await startProxy({
        upstreams: { shut: upstream.port, reads: upstream.port },
        limits: { shut: { apiRequests: 0 }, reads: { apiRequests: 3, ingressBytes: 0 } },
        policy,
      });
      expect((await send(proxy.port, "/")).status).toBe(200);
      for (const body of ["x", ["x", "y"]]) {
        const refused = await send(proxy.port, "/", { method: "PUT", body });
        expect(refused.status).toBe(429);
        expect(refused.headers["retry-after"]).toBe(undefined);
        expect(JSON.parse(refused.body.toString()).detail).toMatch(/The limit of \w+ is 0: none of it may be used\./);
      }
      expect(proxy.usage("shut")).toEqual({ apiRequests: 0, egressBytes: 0, ingressBytes: 0 });
      expect(proxy.usage("reads")).toEqual({ apiRequests: 1, egressBytes: 1, ingressBytes: 0 });
    }
  });

  test("of 0 do not keep a refusal from telling when another backend has room again", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 1));
    for (const names of [
      ["full", "shut"],
      ["shut", "full"],
    ]) {
      const proxy = await startProxy({
        upstreams: Object.fromEntries(names.map((name) => [name, upstream.port])),
        limits: { shut: { apiRequests: 0 }, full: { apiRequests: 1 } },
      });
      expect((await send(proxy.port, "/")).status).toBe(200);
      const refused = await send(proxy.port, "/");
      expect(refused.status).toBe(429);
      expect(JSON.parse(refused.text).detail).toContain("The limit of apiRequests in the period");
    }
  });

  test("uploads that run together never declare more than is left", async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume().on("end", () => setTimeout(() => respond(response, 201, 0), 20));
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { ingressBytes: 250_000 } } });
    const body = Buffer.alloc(100_000);
    const replies = await Promise.all(Array.from({ length: 10 }, () => send(proxy.port, "/", { method: "PUT", body })));
    expect(replies.map((reply) => reply.status).sort()).toEqual([201, 201, ...Array(8).fill(429)]);
    expect(proxy.usage("a")).toMatchObject({ apiRequests: 2, ingressBytes: 200_000 });
  });

  test("traffic spills over in the configured order, and ends in 429", async () => {
    const names: string[] = [];
    const start = (name: string) =>
      startUpstream((_request, response) => {
        names.push(name);
        respond(response, 200, 1);
      });
    const proxy = await startProxy({
      upstreams: { a: (await start("a")).port, b: (await start("b")).port, c: (await start("c")).port },
      limits: { a: { apiRequests: 2 }, b: { egressBytes: 1 }, c: { apiRequests: 3 } },
    });
    const statuses: number[] = [];
    for (let at = 0; at < 8; at++) statuses.push((await send(proxy.port, "/")).status);
    expect(names).toEqual(["a", "a", "b", "c", "c", "c"]);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 429, 429]);
  });

  test("a refusal says when to come back, what the limits are, and names no backend", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 1));
    let now = Date.UTC(2026, 0, 31, 23, 59, 30);
    const clock = { ...systemClock, now: () => now };
    const proxy = await startProxy({
      upstreams: { "secret-name": upstream.port },
      limits: { "secret-name": { apiRequests: 1, egressBytes: 1_000 } },
      clock,
    });
    await send(proxy.port, "/");
    const refused = await send(proxy.port, "/");
    const end = proxy.tracker.counter.period().end;
    expect(refused.status).toBe(429);
    expect(refused.headers["content-type"]).toBe("application/problem+json");
    const [t, retryAfter] = [Math.ceil((end - now) / 1000), refused.headers["retry-after"]];
    expect(refused.headers.ratelimit).toBe(`"apiRequests";r=0;t=${t}, "egressBytes";r=999;t=${t}`);
    expect([retryAfter, refused.headers["x-should-retry"]]).toEqual([undefined, "false"]);
    now = end - 29_500;
    expect((await send(proxy.port, "/")).headers["retry-after"]).toBe("30");
    expect(refused.headers["ratelimit-policy"]).toMatch(/^"apiRequests";q=1;/);
    const problem = JSON.parse(refused.text);
    expect(problem).toMatchObject({ status: 429, "violated-policies": ["apiRequests"] });
    expect(problem).toMatchObject({ "resets-at": new Date(end).toISOString(), error: { message: problem.detail } });
    expect(problem.detail).toMatch(/^No backend has room left\. .*apiRequests/);
    expect(refused.rawHeaders.join() + refused.text).not.toContain("secret-name");
    expect(refused.rawHeaders.join() + refused.text).not.toContain(String(upstream.port));
  });

  test("a download that passes the egress limit half-way is completed and counted, and the next one refused", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 500_000));
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { egressBytes: 100_000 } } });
    expect((await send(proxy.port, "/")).body).toHaveLength(500_000);
    expect(proxy.usage("a").egressBytes).toBe(500_000);
    expect((await send(proxy.port, "/")).status).toBe(429);
    expect((await send(proxy.port, "/", { method: "HEAD" })).status).toBe(429);
    expect(upstream.requests).toHaveLength(1);
  });

  test("egress used up to the last byte refuses whatever may answer with a body, and lets HEAD pass", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 100));
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { egressBytes: 100 } } });
    expect((await send(proxy.port, "/")).status).toBe(200);
    expect((await send(proxy.port, "/")).status).toBe(429);
    expect((await send(proxy.port, "/", { method: "HEAD" })).status).toBe(200);
  });

  test("a response under way keeps its announced length reserved", async () => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { "content-length": 1_000 });
      response.write("x");
      response.on("drain", () => {});
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { egressBytes: 1_000 } } });
    const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.until("\r\n\r\nx");
    expect((await send(proxy.port, "/")).status).toBe(429);
    client.socket.destroy();
    await proxy.settled();
    expect(upstream.requests).toHaveLength(1);
  });

  test("a chunked upload finds no room where ingress is used up, and one that is too long none from the start", async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume().on("end", () => respond(response, 200, 0));
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { ingressBytes: 10 } } });
    expect((await send(proxy.port, "/", { method: "PUT", body: "eleven byte" })).status).toBe(429);
    expect((await send(proxy.port, "/", { method: "PUT", body: ["five ", "five "] })).status).toBe(200);
    expect((await send(proxy.port, "/", { method: "PUT", body: ["a", "b"] })).status).toBe(429);
    expect((await send(proxy.port, "/")).status).toBe(200);
  });

  test("spread prefers the upstream that has used the least part of its limits", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({
      upstreams: { a: upstream.port, b: upstream.port },
      limits: { a: { apiRequests: 30 }, b: { apiRequests: 10 } },
      policy: "spread",
    });
    for (let at = 0; at < 20; at++) await send(proxy.port, "/");
    expect([proxy.usage("a").apiRequests, proxy.usage("b").apiRequests]).toEqual([15, 5]);
  });

  test("a draining upstream gets no new requests", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({ upstreams: { a: upstream.port, b: upstream.port } });
    proxy.upstream("a").draining = true;
    await send(proxy.port, "/");
    expect([proxy.usage("a").apiRequests, proxy.usage("b").apiRequests]).toEqual([0, 1]);
    proxy.upstream("b").draining = true;
    const refused = await send(proxy.port, "/");
    expect(refused.status).toBe(503);
    expect(JSON.parse(String(refused.body)).detail).toContain("drained");
  });

  test("backends that are full and backends that cannot be reached together are worth another try soon", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({
      upstreams: { a: upstream.port, b: await refusingPort() },
      limits: { a: { apiRequests: 1 } },
    });
    expect((await send(proxy.port, "/")).status).toBe(200);
    const refused = await send(proxy.port, "/");
    expect(refused.status).toBe(503);
    expect(Number(refused.headers["retry-after"])).toBeLessThan(30);
  });

  test("after random traffic with failures and hang-ups nothing stays reserved", async () => {
    const upstream = await startUpstream((request, response) => {
      const kind = Number(request.url?.slice(1));
      if (kind === 0) response.destroy();
      else if (kind === 1) respond(response, 403, 10);
      else if (kind === 2) response.writeHead(200, { "content-length": 100_000 }).write(Buffer.alloc(1_000));
      else request.resume().on("end", () => respond(response, 200, kind * 20_000));
    });
    const proxy = await startProxy({
      upstreams: { gone: await refusingPort(), a: upstream.port },
      limits: { a: { apiRequests: 10_000, egressBytes: 10_000_000, ingressBytes: 10_000_000 } },
      unreachableMs: 1,
    });
    const visits = Array.from({ length: 210 }, async (_, at) => {
      const declared = at % 3 === 0 ? at * 500 : 0;
      const sent = at % 2 === 0 ? declared : declared / 2;
      const head = `POST /${at % 7} HTTP/1.1\r\nHost: x\r\nContent-Length: ${declared}\r\n\r\n`;
      const client = await dial(proxy.port, head + "b".repeat(sent));
      const waits = sent === declared && at % 5 !== 0;
      if (waits) await Promise.race([client.until("\r\n\r\n").catch(() => {}), client.closed]);
      client.socket.destroy();
    });
    await Promise.all(visits);
    await proxy.settled();
    expect(upstream.requests.length).toBeGreaterThan(50);
  });
});

describe("a reservation", () => {
  test("holds no more than an amount can be, whatever lengths are claimed, and gives all of it back", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    for (const limits of [{}, { a: { egressBytes: 1_000 } }]) {
      const { tracker, held } = await startProxy({ upstreams: { a: upstream.port }, limits });
      const claims = [2 ** 53 - 1, 2 ** 60, Number.NaN, 5, 2 ** 52];
      const made = claims.map((bytes) => {
        const hold = tracker.tryReserve("a", { apiRequests: 1, egressBytes: 1 });
        const one = hold && new Reservation(hold, hold.usage, booksOf(tracker));
        one?.expectEgress(bytes);
        return one;
      });
      expect(held("a").egressBytes).toBeLessThanOrEqual(limits.a?.egressBytes ?? 2 ** 53 - 1);
      for (const one of [...made, ...made]) one?.release();
      expect(held("a")).toEqual({ apiRequests: 0, egressBytes: 0, ingressBytes: 0 });
    }
  });
});
