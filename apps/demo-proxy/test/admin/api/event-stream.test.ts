import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { EventStream, type Look } from "../../../src/admin/api/live/events.ts";
import type { StreamAnswer } from "../../../src/admin/problem.ts";
import { AdminServer } from "../../../src/admin/server.ts";
import { call } from "../../support/call.ts";
import { FakeClock } from "../../support/fake-clock.ts";

/** Looks of which each tells the same to whoever was told something else before. */
function lookAt(make: () => Promise<readonly Uint8Array[]>): (number: number) => Promise<Look> {
  return async (number) => {
    const made = await make();
    return { number, since: async () => made };
  };
}

/** Somebody who listens over a real connection, and has not begun to read. */
async function listenTo<T extends Look>(events: EventStream<T>): Promise<Socket> {
  const routes = [{ path: "/api/events", methods: { GET: () => events.answer() } }];
  const server = new AdminServer({ routes, guard: () => undefined });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => server.close());
  const socket = connect(port, "127.0.0.1").pause();
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  socket.write("GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  await expect.poll(() => events.size).toBe(1);
  return socket;
}

describe("the event stream of a server", () => {
  it("answers HEAD without listening", async () => {
    const events = new EventStream({ look: lookAt(async () => [Buffer.from("x")]), clock: new FakeClock(0) });
    const routes = [{ path: "/api/events", methods: { GET: () => events.answer() } }];
    const server = new AdminServer({ routes, guard: () => undefined });
    const address = await server.listen({ host: "127.0.0.1", port: 0 });
    onTestFinished(() => server.close());
    expect(await call(address, "/api/events", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect(events.size).toBe(0);
  });

  it("cuts off a reader that stands still, over a real connection", async () => {
    const clock = new FakeClock(0);
    const look = lookAt(async () => [Buffer.alloc(4_000_000, "x")]);
    const events = new EventStream({ look, clock, patienceMs: 3_000 });
    await listenTo(events);
    // Of 4 MB a moment after the other, the kernel takes some and this process keeps the rest, once.
    for (let second = 0; second < 60; second += 1) {
      clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await expect.poll(() => events.size).toBe(0);
  });

  it("does not cut off a reader that takes longer for an event than silence may last", async () => {
    const clock = new FakeClock(0);
    const events = new EventStream({
      look: lookAt(async () => [Buffer.alloc(EVENT_BYTES, PAYLOAD)]),
      clock,
      patienceMs: 3_000,
    });
    const socket = await listenTo(events);
    let received = 0;
    for (let second = 0; second < 60; second += 1) {
      clock.advance(1_000);
      const due = received + 400_000;
      while (received < due) {
        const part: Buffer | null = socket.read();
        if (part !== null) received += payloadOf(part);
        // The rest of an event is on its way, however busy the machine is. A whole one may be followed by none: reports that are
        // not made in time are left out.
        else if (received % EVENT_BYTES !== 0) await once(socket, "readable");
        else if (!(await readable(socket))) break;
      }
      expect(events.size).toBe(1);
    }
  });
});

/** Of the stand-in for a report: nothing else on the connection has this byte. */
function payloadOf(part: Buffer): number {
  let bytes = 0;
  for (const byte of part) if (byte === PAYLOAD) bytes += 1;
  return bytes;
}

const EVENT_BYTES = 2_000_000;
const PAYLOAD = "~".charCodeAt(0);

async function readable(socket: Socket): Promise<boolean> {
  return await once(socket, "readable", { signal: AbortSignal.timeout(200) }).then(
    () => true,
    () => false,
  );
}

describe("the event stream", () => {
  function start() {
    const clock = new FakeClock(0);
    let reports = 0;
    const events = new EventStream({
      look: lookAt(async () => [Buffer.from(String(++reports))]),
      clock,
      patienceMs: 3_000,
    });
    const join = async (listener = new PassThrough()) => {
      ((await events.answer()) as StreamAnswer).stream(listener);
      return listener;
    };
    const pass = (seconds: number) => passing(clock, seconds);
    return { pass, events, join, reports: () => reports };
  }

  /** Seconds in each of which the event that is due is made and told. */
  async function passing(clock: FakeClock, seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      clock.advance(1_000);
      await setImmediate();
    }
  }

  it("asks for a report only while somebody listens, and once for all who do", async () => {
    const { pass, events, join, reports } = start();
    await pass(60);
    expect(reports()).toBe(0);
    const [one, other] = [await join(), await join()];
    expect(reports()).toBe(2);
    await pass(3);
    expect(reports()).toBe(5);
    one.destroy();
    other.destroy();
    await expect.poll(() => events.size).toBe(0);
    await pass(60);
    expect(reports()).toBe(5);
    await join();
    await pass(1);
    expect(reports()).toBe(7);
  });

  it("tells all who come while an event is made the same one, and lets no more in than there is room for", async () => {
    const made = Promise.withResolvers<readonly Uint8Array[]>();
    let reports = 0;
    const report = () => {
      reports += 1;
      return made.promise;
    };
    const events = new EventStream({ look: lookAt(report), clock: new FakeClock(0), maxListeners: 2 });
    const joining = Array.from({ length: 3 }, async () => {
      const listener = new PassThrough();
      ((await events.answer()) as StreamAnswer).stream(listener);
      return listener;
    });
    made.resolve([Buffer.from("x")]);
    const listeners = await Promise.all(joining);
    expect(reports).toBe(1);
    expect(listeners.map((listener) => String(listener.read()))).toEqual(["data: x\n\n", "data: x\n\n", "null"]);
    expect(listeners.map(({ destroyed }) => destroyed)).toEqual([false, false, true]);
  });

  it("tells an event that takes longer than a second to make once", async () => {
    const clock = new FakeClock(0);
    let make = async (): Promise<readonly Uint8Array[]> => [Buffer.from("1")];
    const events = new EventStream({ look: lookAt(() => make()), clock });
    const listener = new PassThrough();
    ((await events.answer()) as StreamAnswer).stream(listener);
    const slow = Promise.withResolvers<readonly Uint8Array[]>();
    make = () => slow.promise;
    await passing(clock, 3);
    slow.resolve([Buffer.from("2")]);
    await setImmediate();
    expect(String(listener.read())).toBe("data: 1\n\ndata: 2\n\n");
  });

  it("tells everybody all at first, then what has changed since his last event, however many he was too slow for", async () => {
    const clock = new FakeClock(0);
    const look = async (number: number): Promise<Look> => {
      return { number, since: async (earlier) => [Buffer.from(`${earlier} to ${number}`)] };
    };
    const events = new EventStream({ look, clock, patienceMs: 10_000 });
    const join = async (highWaterMark: number) => {
      const listener = new PassThrough({ highWaterMark });
      ((await events.answer()) as StreamAnswer).stream(listener);
      return listener;
    };
    const [good, slow] = [await join(1_000), await join(4)];
    await passing(clock, 2);
    expect(String(slow.read())).toBe("data: 0 to 2\n\n");
    await setImmediate();
    await passing(clock, 1);
    // Somebody who comes takes nothing from the others.
    await join(1_000);
    await passing(clock, 1);
    const toldGood = ["0 to 1", "1 to 3", "3 to 4", "4 to 5", "5 to 7"];
    expect(String(good.read())).toBe(toldGood.map((told) => `data: ${told}\n\n`).join(""));
    expect(String(slow.read())).toBe("data: 2 to 5\n\n");
  });

  it("keeps at most one event for a reader that is slow, and goes on with the newest", async () => {
    const { pass, join } = start();
    const slow = await join(new PassThrough({ highWaterMark: 4 }));
    await pass(3);
    expect(slow.writableLength + slow.readableLength).toBeLessThan(30);
    expect(String(slow.read())).toBe("data: 1\n\n");
  });

  it("cuts off who does not read in time, and nobody else", async () => {
    const { pass, events, join } = start();
    const stuck = await join(new PassThrough({ highWaterMark: 4 }));
    const good = (await join()).resume();
    await pass(10);
    expect(stuck.destroyed).toBe(true);
    expect(good.destroyed).toBe(false);
    expect(events.size).toBeGreaterThanOrEqual(1);
  });

  it("ends rather than taking the process with it when a report cannot be made", async () => {
    const clock = new FakeClock(0);
    let broken = false;
    const report = async () => {
      if (broken) throw new Error("no report");
      return [Buffer.from("fine")];
    };
    const events = new EventStream({ look: lookAt(report), clock });
    const listener = new PassThrough();
    ((await events.answer()) as StreamAnswer).stream(listener);
    broken = true;
    await passing(clock, 1);
    expect(listener.destroyed).toBe(true);
    await expect(events.answer()).rejects.toThrow("no report");
  });
});
