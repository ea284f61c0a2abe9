/** Loaded into a proxy before all else: its clock is so many milliseconds ahead of the machine's. */
const aheadMs = Number(process.env.SOAK_CLOCK_AHEAD_MS);
const now = Date.now;
Date.now = () => now() + aheadMs;
