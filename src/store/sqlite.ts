/** The only place that loads better-sqlite3's binary, the dependency with the strictest system requirements. */
import Database from 'better-sqlite3';
import { LookoutError, messageOf } from '../errors.ts';

/**
 * @throws LookoutError SYSTEM_UNSUPPORTED if the binary does not load on this system; SqliteError
 */
export function openDatabase(file: string, options: Database.Options = {}): Database.Database {
  try {
    return new Database(file, options);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_DLOPEN_FAILED') throw cause;
    throw new LookoutError('SYSTEM_UNSUPPORTED', `better-sqlite3 cannot be loaded: ${messageOf(cause)}`, {
      cause,
      hint: 'Lookout needs glibc 2.34 or later: Raspberry Pi OS bookworm, Debian 12, Ubuntu 22.04, JetPack 6.',
    });
  }
}
