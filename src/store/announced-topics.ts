/**
 * Retained topics that this device has published, by broker URL. Kept in the database, because the broker does not show
 * who published a topic: another device may use topics of the same form.
 */
import type { Database } from 'better-sqlite3';
import type { AnnouncedChanges } from './store-types.ts';

export function readAnnounced(db: Database, broker: string): string[] {
  return db
    .prepare<[string], string>('SELECT topic FROM announced WHERE broker = ? ORDER BY topic')
    .pluck()
    .all(broker);
}

/** Writes all changes in one transaction. */
export function writeAnnounced(db: Database, { broker, added, removed }: AnnouncedChanges): void {
  const insert = db.prepare('INSERT OR IGNORE INTO announced (broker, topic) VALUES (?, ?)');
  const remove = db.prepare('DELETE FROM announced WHERE broker = ? AND topic = ?');
  db.transaction(() => {
    for (const topic of added) insert.run(broker, topic);
    for (const topic of removed) remove.run(broker, topic);
  }).immediate();
}
