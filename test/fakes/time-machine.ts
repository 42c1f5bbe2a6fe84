/**
 * Loaded into a daemon by `--import`, this moves its wall clock as the file named by TIME_MACHINE says: `offset`
 * milliseconds ahead, and `speed` times as fast since the daemon's start. The monotonic clock goes on as it is, as on a
 * board that is suspended most of the time: so does the time since the boot. Timers of ten minutes and more, such as
 * that of the clean-up, fire `speed` times as often; collecting garbage each minute is none of them.
 */
import { readFileSync } from 'node:fs';

interface Settings {
  offset?: number;
  speed?: number;
}

const LONG_MS = 600_000;
const file = process.env.TIME_MACHINE ?? '';
/** Milliseconds for which the file is not read again: two clocks that are read one after the other must agree. */
const READ_MS = 20;
const realNow = Date.now;
const realSinceBoot = process.hrtime.bigint;
const started = performance.now();
const { setInterval: realInterval } = globalThis;
let known: Settings = {};
let readAt = Number.NEGATIVE_INFINITY;

function settings(): Settings {
  if (performance.now() - readAt < READ_MS) return known;
  try {
    known = JSON.parse(readFileSync(file, 'utf8')) as Settings;
  } catch {
    known = {};
  }
  readAt = performance.now();
  return known;
}

/** Milliseconds by which a clock that is so fast is ahead. */
const gained = ({ speed = 1 }: Settings) => (performance.now() - started) * (speed - 1);

Date.now = () => {
  const now = settings();
  return Math.floor(realNow() + (now.offset ?? 0) + gained(now));
};

process.hrtime.bigint = () => realSinceBoot() + BigInt(Math.round(gained(settings()) * 1e6));

globalThis.setInterval = ((callback: () => void, ms: number, ...rest: []) =>
  realInterval(callback, ms >= LONG_MS ? ms / (settings().speed ?? 1) : ms, ...rest)) as typeof setInterval;
