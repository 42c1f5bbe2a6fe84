/**
 * The list of files that this installation has written into its snapshot folder. A file is listed before it is created,
 * so an unlisted file comes from another program, from another Lookout, or from this one with a later database. Unlisted
 * files are never deleted, and neither are listed files without a matching mark (see snapshot-mark.ts): the list may be
 * an old copy, or the file may have been replaced.
 */
import type { Database, Statement } from 'better-sqlite3';

/** A file in the list; a path that ends with a slash is a folder. */
export interface ListedFile {
  /** Relative to the snapshot folder. */
  path: string;
  /** The order of writing, independent of the clock. */
  seq: number;
  /** The event that the file belongs to; null for a requested snapshot, and for a folder. */
  event: string | null;
  /** Start of the event, or capture time of the snapshot; wall-clock milliseconds. */
  at: number;
  /** 0: from before files had a mark. */
  marked: number;
  /** As in events. */
  time_uncertain: number;
  clock: number | null;
}

/** A new entry of the list. */
export type FileNote = Pick<ListedFile, 'path' | 'event' | 'at' | 'time_uncertain' | 'clock'>;

export class FileList {
  /** The id of this installation. */
  readonly installation: string;
  readonly #db: Database;
  readonly #insert: Statement;
  readonly #find: Statement<[string], ListedFile>;
  readonly #delete: Statement<[string]>;
  readonly #named: Statement<[string, string]>;
  #seq: number;

  constructor(db: Database) {
    this.#db = db;
    this.installation = String(db.prepare('SELECT id FROM installation').pluck().get());
    this.#insert = db.prepare(`
      INSERT INTO files (path, seq, event, at, marked, time_uncertain, clock)
      VALUES (@path, @seq, @event, @at, 1, @time_uncertain, @clock) ON CONFLICT DO NOTHING`);
    this.#find = db.prepare('SELECT * FROM files WHERE path = ?');
    this.#delete = db.prepare('DELETE FROM files WHERE path = ?');
    this.#named = db.prepare('SELECT 1 FROM events WHERE id = ? AND snapshot = ?');
    this.#seq = Number(db.prepare('SELECT max(seq) FROM files').pluck().get() ?? 0);
  }

  find(path: string): ListedFile | null {
    return this.#find.get(path) ?? null;
  }

  /** Lists a file, unless it is listed already. */
  note(file: FileNote): void {
    this.#insert.run({ ...file, at: Math.round(file.at), seq: ++this.#seq });
  }

  /** Whether an event refers to this file as its snapshot. */
  isNamed({ event, path }: ListedFile): boolean {
    return event !== null && this.#named.get(event, path) !== undefined;
  }

  /** Every file, in the order of writing. */
  all(): ListedFile[] {
    return this.#db.prepare<[], ListedFile>('SELECT * FROM files ORDER BY seq').all();
  }

  /** Removes deleted files from the list and from their events. */
  forget(files: readonly ListedFile[]): void {
    if (files.length === 0) return;
    const forgetEvent = this.#db.prepare('UPDATE events SET snapshot = NULL WHERE id = ?');
    const forgetAll = this.#db.transaction(() => {
      for (const { path, event } of files) {
        this.#delete.run(path);
        if (event !== null) forgetEvent.run(event);
      }
    });
    forgetAll.immediate();
  }
}
