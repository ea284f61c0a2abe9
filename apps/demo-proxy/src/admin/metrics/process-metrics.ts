import { readdirSync } from "node:fs";
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from "node:perf_hooks";
import { label, labelSet, type MetricsText } from "./text-format.ts";

const RESOLUTION_MS = 20;
const NS_PER_SECOND = 1e9;

/** The process itself, under the names that Prometheus's client libraries have given it, for which dashboards exist. */
export class ProcessMetrics {
  // It measures from one look to the next, so that what it tells begins at its own interval.
  readonly #delay: ReturnType<typeof monitorEventLoopDelay> = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #start: EventLoopUtilization = performance.eventLoopUtilization();

  constructor() {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  write(text: MetricsText): void {
    const { user, system } = process.cpuUsage();
    const memory = process.memoryUsage();
    text.counter({ name: "process_cpu_user_seconds_total", help: "CPU time of the process's own code." }, user / 1e6);
    text.counter({ name: "process_cpu_system_seconds_total", help: "CPU time of the kernel for it." }, system / 1e6);
    text.counter({ name: "process_cpu_seconds_total", help: "Both together." }, (user + system) / 1e6);
    const startedAt = performance.timeOrigin / 1_000;
    text.gauge({ name: "process_start_time_seconds", help: "When it started, since the Unix epoch." }, startedAt);
    text.gauge({ name: "process_resident_memory_bytes", help: "Memory that it occupies." }, memory.rss);
    const heap = "of the JavaScript heap.";
    text.gauge({ name: "nodejs_heap_size_total_bytes", help: `Size ${heap}` }, memory.heapTotal);
    text.gauge({ name: "nodejs_heap_size_used_bytes", help: `Used part ${heap}` }, memory.heapUsed);
    text.gauge({ name: "nodejs_external_memory_bytes", help: "Memory outside of the heap." }, memory.external);
    const openFiles = countOpenFiles();
    if (openFiles !== undefined) {
      text.gauge({ name: "process_open_fds", help: "Open files and connections." }, openFiles);
    }
    this.#writeEventLoop(text);
    text.gauge({ name: "nodejs_version_info", help: "The version of Node, as a label." }, [
      [labelSet(label("version", process.version)), 1],
    ]);
  }

  #writeEventLoop(text: MetricsText): void {
    const delay = this.#delay;
    const since = "since the last scrape";
    const seconds = (ns: number): number => Math.max(0, ns / NS_PER_SECOND - RESOLUTION_MS / 1_000);
    const lag: readonly (readonly [name: string, help: string, ns: number])[] =
      delay.count === 0
        ? []
        : [
            ["mean", `Mean delay of the event loop ${since}.`, delay.mean],
            ["p50", `Median delay of the event loop ${since}.`, delay.percentile(50)],
            ["p99", `99th percentile of the delays of the event loop ${since}.`, delay.percentile(99)],
            ["max", `Longest delay of the event loop ${since}.`, delay.max],
          ];
    for (const [name, help, ns] of lag) text.gauge({ name: `nodejs_eventloop_lag_${name}_seconds`, help }, seconds(ns));
    delay.reset();
    const { active } = performance.eventLoopUtilization(this.#start);
    const busy = { name: "nodejs_eventloop_active_seconds_total", help: "Time in which the event loop had work." };
    text.counter(busy, active / 1_000);
  }
}

/** Where the system tells. */
function countOpenFiles(): number | undefined {
  try {
    // The folder itself is open while it is read.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
}
