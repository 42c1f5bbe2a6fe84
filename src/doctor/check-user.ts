/** Whether the current user owns the data: permissions of another user say nothing about those of the daemon. */
import { statSync } from 'node:fs';
import { type Check, ok, warn } from './check.ts';

export const checkUser: Check = async ({ loaded }) => {
  const uid = process.geteuid?.() ?? 0;
  const owner = statSync(loaded.config.data_dir, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || owner === uid) return [ok('user', `user ${uid}`)];
  return [
    warn(
      'user',
      `the data folder belongs to user ${owner}, but the current user is ${uid}: the results can differ for the daemon`,
      'Run the check as the user of the daemon: sudo -u lookout lookout doctor',
    ),
  ];
};
