import fc from "fast-check";
import { expect, test } from "vitest";
import { KERNEL_BYTES, ReaderSilence, SLOWEST_READ_BYTES } from "../../src/proxy/reader-silence.ts";

const LONGEST = 4;
const SLOWEST = SLOWEST_READ_BYTES / LONGEST;

/** How many looks it takes until a reader is silent who takes nothing any more. */
function looksUntilSilent(silence: ReaderSilence, taken: number): number {
  for (let looks = 1; ; looks++) if (silence.look(taken, true)) return looks;
}

test("whoever reads evenly, and not slower than is allowed, is never silent, however seldom the kernels say so", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: KERNEL_BYTES }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      fc.double({ min: 1, max: 50, noNaN: true }),
      (capacity, room, faster) => {
        const silence = new ReaderSilence(LONGEST);
        let taken = 0;
        let read = 0;
        for (let look = 0; look < 500; look++) {
          // The kernels take more only once so much of what they can hold is free.
          if (capacity - (taken - read) >= capacity * room) taken = read + capacity;
          expect(silence.look(taken, true)).toBe(false);
          read = Math.min(taken, read + SLOWEST * faster);
        }
      },
    ),
    { seed: 2026 },
  );
});

test("whoever reads nothing is silent once he could have read slowly what the kernels took", () => {
  expect(looksUntilSilent(new ReaderSilence(LONGEST), 0)).toBe(LONGEST + 1);
  expect(looksUntilSilent(new ReaderSilence(LONGEST), 10 * SLOWEST)).toBe(10 + LONGEST);
});

test("whoever has read fast and reads nothing any more is silent at once; of the next response that says nothing", () => {
  const silence = new ReaderSilence(LONGEST);
  expect(silence.look(1e9, false)).toBe(false);
  silence.restart();
  expect(silence.look(1e9 + KERNEL_BYTES, true)).toBe(false);
  expect(looksUntilSilent(silence, 1e9 + KERNEL_BYTES)).toBe(KERNEL_BYTES / SLOWEST - 1 + LONGEST);
  silence.look(3e9, false);
  expect(looksUntilSilent(silence, 3e9)).toBe(LONGEST + 1);
});

test("whoever has not kept the writer waiting is not behind", () => {
  const silence = new ReaderSilence(LONGEST);
  silence.look(KERNEL_BYTES, false);
  expect(silence.behind).toBe(false);
  silence.look(KERNEL_BYTES, true);
  expect(silence.behind).toBe(true);
  looksUntilSilent(silence, KERNEL_BYTES);
  expect(silence.behind).toBe(false);
});
