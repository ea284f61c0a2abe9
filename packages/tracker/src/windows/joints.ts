import { type Clock, UnknownBackendError } from "@usage/counter-core";
import type { OpenUsage } from "../open-usage.ts";
import { Joint } from "./joint.ts";
import type { WindowTrackers } from "./window-trackers.ts";

/** By the trackers of the windows, one level for each. */
interface Node<D extends string, W extends string> {
  readonly next: Map<OpenUsage<D>, Node<D, W>>;
  joint?: Joint<D, W>;
}

/** Which trackers belong together: one combination for all backends, or one for each that there is of their schemes. */
export class Joints<D extends string, W extends string> {
  readonly #windows: readonly WindowTrackers<D, W>[];
  readonly #clock: Clock;
  readonly #root: Node<D, W> = { next: new Map() };
  /** Where all backends are in the same trackers. */
  #fixed: Joint<D, W> | undefined;

  constructor(windows: readonly WindowTrackers<D, W>[], clock: Clock) {
    this.#windows = windows;
    this.#clock = clock;
  }

  /** @throws UnknownBackendError for a backend that is not in all its windows, or has none; WindowSchemeError. */
  of(backend: string): Joint<D, W> {
    return this.#fixed ?? this.#find(backend);
  }

  #find(backend: string): Joint<D, W> {
    let node: Node<D, W> | undefined = this.#root;
    for (const window of this.#windows) {
      const tracker = window.find(backend);
      if (tracker === undefined) throw new UnknownBackendError(backend);
      if (tracker !== null) node = node?.next.get(tracker);
    }
    return node?.joint ?? this.#join(backend);
  }

  #join(backend: string): Joint<D, W> {
    const windows = this.#windows.filter((window) => window.find(backend) !== null);
    const trackers = windows.flatMap((window) => window.find(backend) ?? []);
    if (trackers.length === 0) throw new UnknownBackendError(backend);
    const names = windows.map(({ name }) => name);
    const joint = new Joint(names, trackers, this.#clock);
    if (this.#windows.every(({ isFixed }) => isFixed)) this.#fixed = joint;
    let node = this.#root;
    for (const tracker of trackers) {
      const next = node.next.get(tracker) ?? { next: new Map() };
      node.next.set(tracker, next);
      node = next;
    }
    node.joint = joint;
    return joint;
  }
}
