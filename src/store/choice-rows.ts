/** Settings that were chosen while Lookout ran, one row for each setting of a camera. */
import type { Database } from 'better-sqlite3';
import { insertSql } from './event-rows.ts';
import type { Choice, ChoiceChanges } from './store-types.ts';

interface ChoiceRow {
  camera: string;
  setting: string;
  value: string;
  configured: string;
  chosen_at: number;
}

export function readChoices(db: Database): Choice[] {
  return db
    .prepare<[], ChoiceRow>('SELECT * FROM choices ORDER BY camera, setting')
    .all()
    .map(({ chosen_at, ...choice }) => ({ ...choice, chosenAt: chosen_at }));
}

/** Writes all changes in one transaction. */
export function writeChoices(db: Database, { keep, forget }: ChoiceChanges): void {
  const columns = ['camera', 'setting', 'value', 'configured', 'chosen_at'];
  const insert = db.prepare(insertSql('choices', columns).replace('INSERT', 'INSERT OR REPLACE'));
  const remove = db.prepare('DELETE FROM choices WHERE camera = ? AND setting = ?');
  db.transaction(() => {
    for (const { camera, setting } of forget) remove.run(camera, setting);
    for (const { chosenAt, ...choice } of keep) insert.run({ ...choice, chosen_at: Math.round(chosenAt) });
  }).immediate();
}
