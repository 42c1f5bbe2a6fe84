/** Who asks: permissions of another user say nothing about the daemon's. */
import { statSync } from 'node:fs';
import { type Check, ok, warn } from './check.ts';

export const checkUser: Check = async ({ loaded }) => {
  const uid = process.geteuid?.() ?? 0;
  const owner = statSync(loaded.config.data_dir, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || owner === uid) return [ok('user', `user ${uid}`)];
  return [
    warn(
      'user',
      `the data folder belongs to user ${owner}, and this is user ${uid}: what follows may differ for the daemon`,
      'Run it as the daemon’s user: sudo -u lookout lookout doctor',
    ),
  ];
};
