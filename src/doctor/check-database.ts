/** Whether the database is intact, and how many events it contains. */
import { existsSync } from 'node:fs';
import { LookoutError } from '../errors.ts';
import { Reader } from '../store/log-reader.ts';
import { openDatabase } from '../store/sqlite.ts';
import { type Check, fail, failed, ok, warn } from './check.ts';

/** Number of waiting messages from which something is wrong with the broker. */
const MANY_WAITING = 1000;

export const checkDatabase: Check = async ({ loaded, running }) => {
  const { file } = loaded.config.store;
  if (!existsSync(file)) return [ok('database', `${file} does not exist yet; the daemon creates it`)];
  try {
    new Reader(file).close();
    const db = openDatabase(file, { readonly: true, fileMustExist: true });
    try {
      const state = db.pragma('quick_check(1)', { simple: true });
      if (state !== 'ok') {
        return [
          fail(
            'database',
            `${file} is damaged: ${String(state)}`,
            'Start the daemon: it moves the file aside and restores what it can. Check the disk.',
          ),
        ];
      }
      const count = (table: string) => Number(db.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
      const waiting = count('outbox');
      const text = `${file} is intact: ${count('events')} events${running ? ', in use by a daemon' : ''}`;
      if (waiting < MANY_WAITING) return [ok('database', text)];
      return [
        ok('database', text),
        warn('database', `${waiting} messages wait for the broker`, 'See the lines about the broker.'),
      ];
    } finally {
      db.close();
    }
  } catch (error) {
    if (error instanceof LookoutError && error.code === 'STORE_TOO_OLD')
      return [ok('database', error.message)];
    return [failed('database', error, 'See docs/events.md.')];
  }
};
