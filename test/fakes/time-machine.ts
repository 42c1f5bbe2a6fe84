/**
 * Loaded into a daemon by `--import`, this moves its wall clock as the file named by TIME_MACHINE says: `offset`
 * milliseconds ahead, and `speed` times as fast since the daemon's start. The monotonic clock goes on as it is; only
 * timers of a minute and more fire `speed` times as often.
 */
import { readFileSync } from 'node:fs';

interface Settings {
  offset?: number;
  speed?: number;
}

const LONG_MS = 60_000;
const file = process.env.TIME_MACHINE ?? '';
const realNow = Date.now;
const started = realNow();
const { setInterval: realInterval } = globalThis;

function settings(): Settings {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Settings;
  } catch {
    return {};
  }
}

Date.now = () => {
  const { offset = 0, speed = 1 } = settings();
  const now = realNow();
  return now + offset + (now - started) * (speed - 1);
};

globalThis.setInterval = ((callback: () => void, ms: number, ...rest: []) =>
  realInterval(callback, ms >= LONG_MS ? ms / (settings().speed ?? 1) : ms, ...rest)) as typeof setInterval;
