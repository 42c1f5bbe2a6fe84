/**
 * The schema of the database, step by step. `user_version` is the number of applied steps. A released step is never
 * edited: every change is a new step at the end.
 */
import type { Database } from 'better-sqlite3';
import { LookoutError } from '../errors.ts';
import { downgradeHint } from './schema-copy.ts';

export const MIGRATIONS: readonly string[] = [
  `
  -- One row per event, from its start to its end. Times are milliseconds since 1970 (UTC).
  CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    camera     TEXT    NOT NULL,
    zone       TEXT,
    label      TEXT    NOT NULL,
    score      REAL    NOT NULL,
    top_score  REAL    NOT NULL,
    box_x      REAL    NOT NULL,
    box_y      REAL    NOT NULL,
    box_w      REAL    NOT NULL,
    box_h      REAL    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    model      TEXT    NOT NULL,
    snapshot   TEXT,
    reason     TEXT    NOT NULL,
    changed    INTEGER NOT NULL -- counts up with every change of any event, so that readers can follow
  ) STRICT;
  CREATE INDEX events_started_at ON events (started_at);
  CREATE INDEX events_changed ON events (changed);
  CREATE INDEX events_open ON events (seq) WHERE ended_at IS NULL;

  -- What the model said: one row per label above the log threshold, region and analysed frame.
  CREATE TABLE detections (
    id          INTEGER PRIMARY KEY,
    captured_at INTEGER NOT NULL,
    camera      TEXT    NOT NULL,
    zone        TEXT,
    label       TEXT    NOT NULL,
    score       REAL    NOT NULL,
    box_x       REAL    NOT NULL,
    box_y       REAL    NOT NULL,
    box_w       REAL    NOT NULL,
    box_h       REAL    NOT NULL
  ) STRICT;
  CREATE INDEX detections_captured_at ON detections (captured_at);

  -- Messages that wait for the broker, oldest first. AUTOINCREMENT: an id is never used again.
  CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    topic      TEXT    NOT NULL,
    payload    TEXT    NOT NULL,
    qos        INTEGER NOT NULL,
    retain     INTEGER NOT NULL
  ) STRICT;

  -- How the daemon and its board were doing; merged to one row per quarter of an hour after a day.
  CREATE TABLE samples (
    at                   INTEGER PRIMARY KEY,
    uptime_s             REAL    NOT NULL,
    fps                  REAL    NOT NULL,
    frames_captured      INTEGER NOT NULL,
    frames_analysed      INTEGER NOT NULL,
    frames_dropped       INTEGER NOT NULL,
    inference_ms_p50     REAL,
    inference_ms_p90     REAL,
    inference_ms_p99     REAL,
    cpu_percent          REAL    NOT NULL,
    cpu_children_percent REAL,
    rss_mb               REAL    NOT NULL,
    temperature_c        REAL,
    throttled            INTEGER,
    throttle_reasons     TEXT,
    event_loop_ms_p99    REAL    NOT NULL,
    bytes_written        INTEGER,
    outbox_depth         INTEGER NOT NULL,
    outbox_dropped       INTEGER NOT NULL,
    cameras              TEXT
  ) STRICT;

  -- Totals that outlive their rows.
  CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- 1: the clock of the board was not set yet.
  ALTER TABLE events ADD COLUMN time_uncertain INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE detections ADD COLUMN time_uncertain INTEGER NOT NULL DEFAULT 0;

  -- live 1: of interest only at its time, and first to go when there are too many.
  ALTER TABLE outbox ADD COLUMN live INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE outbox ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE outbox SET bytes = length(CAST(topic AS BLOB)) + length(CAST(payload AS BLOB));
  CREATE INDEX outbox_room ON outbox (live, id, bytes);
  `,
  `
  -- Which model said so; NULL in rows from before this was kept.
  ALTER TABLE detections ADD COLUMN model TEXT;
  `,
  `
  -- What was chosen while Lookout ran, in place of what the configuration says.
  CREATE TABLE choices (
    camera     TEXT    NOT NULL,
    setting    TEXT    NOT NULL,
    value      TEXT    NOT NULL, -- JSON
    configured TEXT    NOT NULL, -- JSON: what the configuration said then; the choice ends when it says something else
    chosen_at  INTEGER NOT NULL,
    PRIMARY KEY (camera, setting)
  ) STRICT, WITHOUT ROWID;

  -- Retained topics that this device has published, by broker: only these may be emptied there.
  CREATE TABLE announced (
    broker TEXT NOT NULL,
    topic  TEXT NOT NULL,
    PRIMARY KEY (broker, topic)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Who writes here. The id is in the mark of every snapshot: a fresh database has another one.
  CREATE TABLE installation (
    id        TEXT    NOT NULL,
    is_backup INTEGER NOT NULL DEFAULT 0, -- 1: this is the rolling backup
    known_at  INTEGER                     -- a time of day that was believed, from late in the last run
  ) STRICT;
  INSERT INTO installation (id) VALUES (lower(hex(randomblob(16))));

  -- The settings of the clock under which rows were recorded: from one jump to the next.
  CREATE TABLE clocks (
    id     INTEGER PRIMARY KEY,
    boot   TEXT    NOT NULL,
    ahead  INTEGER NOT NULL, -- time of day minus time since the boot, ms
    began  INTEGER NOT NULL  -- time since the boot, ms
  ) STRICT;

  -- Every file that was written into the folder of the snapshots, from before it is there until it is deleted. A path
  -- that ends with a slash is a folder. A file of event NULL was asked for.
  CREATE TABLE files (
    path           TEXT    PRIMARY KEY,
    seq            INTEGER NOT NULL, -- the order of writing, whatever the clock said
    event          TEXT,
    at             INTEGER NOT NULL,
    marked         INTEGER NOT NULL, -- 0: from before files had a mark inside
    time_uncertain INTEGER NOT NULL DEFAULT 0,
    clock          INTEGER
  ) STRICT, WITHOUT ROWID;
  INSERT INTO files (path, seq, event, at, marked, time_uncertain)
    SELECT snapshot, seq, id, started_at, 0, time_uncertain FROM events WHERE snapshot IS NOT NULL GROUP BY snapshot;

  -- Copies of databases that were put beside this one.
  CREATE TABLE copies (
    seq   INTEGER PRIMARY KEY,
    name  TEXT    NOT NULL UNIQUE,
    inode INTEGER NOT NULL
  ) STRICT;

  -- time_uncertain 2: corrected as well as can be; it was not later than that.
  ALTER TABLE events ADD COLUMN clock INTEGER;
  ALTER TABLE detections ADD COLUMN clock INTEGER;
  ALTER TABLE outbox ADD COLUMN time_uncertain INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE outbox ADD COLUMN clock INTEGER;
  ALTER TABLE samples ADD COLUMN time_uncertain INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE samples ADD COLUMN clock INTEGER;
  CREATE INDEX events_uncertain ON events (clock) WHERE time_uncertain = 1;
  CREATE INDEX detections_uncertain ON detections (clock) WHERE time_uncertain = 1;
  CREATE INDEX samples_uncertain ON samples (clock) WHERE time_uncertain = 1;
  `,
  `
  -- Memory may be unknown.
  ALTER TABLE samples ADD COLUMN memory REAL;
  UPDATE samples SET memory = rss_mb;
  ALTER TABLE samples DROP COLUMN rss_mb;
  ALTER TABLE samples RENAME COLUMN memory TO rss_mb;
  `,
];

/** The version of the schema that this program reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Applies the missing steps, each in its own transaction.
 * @throws LookoutError STORE_TOO_NEW if the file was written by a newer program
 */
export function migrate(db: Database, file: string, steps: readonly string[] = MIGRATIONS): void {
  const found = schemaVersion(db);
  if (found > steps.length) throw tooNew(file, found, steps.length);
  for (const [index, step] of steps.entries()) {
    if (index < found) continue;
    db.transaction(() => {
      db.exec(step);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}

export function schemaVersion(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number;
}

export function tooNew(file: string, found: number, known: number): LookoutError {
  return new LookoutError(
    'STORE_TOO_NEW',
    `database ${file}: written by a newer Lookout (schema ${found}; this version supports ${known})`,
    { hint: downgradeHint(file, known) },
  );
}
