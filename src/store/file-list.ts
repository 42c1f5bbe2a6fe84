/**
 * The list of the files that this installation has written into the folder of its snapshots. A file is noted before it
 * is there, so that one that is not in the list was written by somebody else: by another program, by another Lookout,
 * or by this one while its database was a later one than now. What is not in the list is never deleted, and neither is
 * what is in the list but lacks the mark that says the same (see snapshot-mark.ts): the list may be an old copy, the file may
 * have been replaced.
 */
import type { Database, Statement } from 'better-sqlite3';

/** A file in the list; a path that ends with a slash is a folder. */
export interface ListedFile {
  /** Relative to the folder of the snapshots. */
  path: string;
  /** Counts up with every file, whatever the clock says. */
  seq: number;
  /** The event it belongs to; null for a picture that was asked for, and for a folder. */
  event: string | null;
  /** When its event started or its picture was taken, wall-clock milliseconds. */
  at: number;
  /** 0: from before files had a mark inside. */
  marked: number;
  /** As in events. */
  time_uncertain: number;
  clock: number | null;
}

/** What is noted of a file. */
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

  /** Notes a file, unless it is in the list already. */
  note(file: FileNote): void {
    this.#insert.run({ ...file, at: Math.round(file.at), seq: ++this.#seq });
  }

  /** Whether an event says that this is its picture. */
  isNamed({ event, path }: ListedFile): boolean {
    return event !== null && this.#named.get(event, path) !== undefined;
  }

  /** Every file, in the order of writing. */
  all(): ListedFile[] {
    return this.#db.prepare<[], ListedFile>('SELECT * FROM files ORDER BY seq').all();
  }

  /** Takes files that are gone off the list, and from their events. */
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
