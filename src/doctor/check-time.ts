/** Whether a time server has set the clock: most boards have no battery for their clock. */
import { CLOCK_UNSET } from '../runtime/time-judge.ts';
import { askTimeServers } from '../runtime/time-servers.ts';
import { type Check, fail, ok, warn } from './check.ts';

const HOUR_MS = 3_600_000;
const ADVICE = 'Use a time server: sudo timedatectl set-ntp true';

export const checkTime: Check = async ({ env, root, loaded }) => {
  const now = new Date();
  const text = now.toISOString();
  if (now.getTime() < CLOCK_UNSET) return [fail('time', `the clock is not set: it shows ${text}`, ADVICE)];
  const tolerance = loaded.config.time.tolerance * HOUR_MS;
  switch (await askTimeServers({ now: now.getTime(), tolerance, root, env })) {
    case 'agree':
      return [ok('time', `${text}, set by a time server`)];
    case 'waiting':
      return [warn('time', `${text}, but no time server has set the clock`, ADVICE)];
    case 'none':
      return [
        warn(
          'time',
          `${text}; no program on this machine reports whether a time server sets the clock`,
          ADVICE,
        ),
      ];
  }
};
