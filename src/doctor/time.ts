/** Whether the clock is set, and by whom: most boards have no battery for it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CLOCK_UNSET } from '../platform/time-sync.ts';
import { type Check, fail, ok, warn } from './check.ts';

const ADVICE = 'Set it with a time server: sudo timedatectl set-ntp true';

export const checkTime: Check = async ({ env }) => {
  const now = new Date();
  const text = now.toISOString();
  if (now.getTime() < CLOCK_UNSET) return [fail('time', `the clock says ${text}: it is not set`, ADVICE)];
  let synchronized: string;
  try {
    const { stdout } = await promisify(execFile)(
      'timedatectl',
      ['show', '--property=NTPSynchronized', '--value'],
      { env, timeout: 5000 },
    );
    synchronized = stdout.trim();
  } catch {
    return [warn('time', `${text}; whether a time server sets it is not to be found out here`, ADVICE)];
  }
  if (synchronized === 'yes') return [ok('time', `${text}, set by a time server`)];
  return [warn('time', `${text}, but no time server has set the clock`, ADVICE)];
};
