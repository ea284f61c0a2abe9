const word = new Int32Array(new SharedArrayBuffer(4));
const INSTANT_MS = 0.05;

/**
 * The CPU time that this thread has had, in nanoseconds. A system adds it up at its ticks, 4 ms apart, and whenever a thread goes to
 * sleep: so this sleeps for an instant before it looks.
 */
export function threadTimeNs(): number {
  Atomics.wait(word, 0, 0, INSTANT_MS);
  const { user, system } = process.threadCpuUsage();
  return (user + system) * 1e3;
}
