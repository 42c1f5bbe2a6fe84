/**
 * The store thread: the only writer to the database. It runs one transaction at a time; queueing and retries are on the
 * main thread (write-queue.ts).
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import type { StoreConfig } from '../config/schema.ts';
import { codeOf, messageOf } from '../errors.ts';
import { systemClock } from '../runtime/clock.ts';
import { scheduleGc } from '../runtime/garbage.ts';
import { exposeRpc, type Handlers, Transferred } from '../runtime/rpc.ts';
import type { KnownTime, TimeHistory } from '../runtime/time-judge.ts';
import { readAnnounced, writeAnnounced } from './announced-topics.ts';
import { backUp, backUpChoices, backupOf, restore } from './backup.ts';
import { readChoices, writeChoices } from './choice-rows.ts';
import { correctTimes, keepKnownTime, timeHistory } from './clocks.ts';
import { explained, isDamage, listQuarantined, openForWriting, quarantine, unwritable } from './database.ts';
import { lockForWriting, realFile } from './lock.ts';
import { enforceRetention, isOverSize } from './retention.ts';
import { Snapshots } from './snapshot-files.ts';
import { openDatabase } from './sqlite.ts';
import type {
  AnnouncedChanges,
  Batch,
  Choice,
  ChoiceChanges,
  CommitResult,
  EncodeRequest,
  LeftOpen,
  LoggedFault,
  LoggedInfo,
  OutboxRow,
  RetentionResult,
  WorkerApi,
  WorkerStats,
} from './store-types.ts';
import { Writer } from './writer.ts';

export interface WorkerOptions {
  file: string;
  snapshots: string;
  config: StoreConfig;
}

const PROBE_TIMEOUT_MS = 100;
const DAY_MS = 86_400_000;

/** How long `close` waits for readers, in ms. */
const CLOSE_TIMEOUT_MS = 200;

type SnapshotReply = ReturnType<WorkerApi['snapshot']>;

/** An open database and the inode of its file. */
interface Connection {
  db: Database;
  writer: Writer;
  inode: number;
}

class StoreThread implements Handlers<WorkerApi> {
  readonly #options: WorkerOptions;
  readonly #port: MessagePort;
  readonly #snapshots: Snapshots;
  readonly #closing = new AbortController();
  #unlock: () => void = () => {};
  #connection: Connection | null = null;
  #lastOutboxId = 0;
  #snapshotTurn: Promise<unknown> = Promise.resolve();
  #makingRoom = false;
  /** As written last, to restore them into a new database; null: not read yet. */
  #choices: Choice[] | null = null;
  /** The disk is full, and no snapshot is left to delete. */
  #short = false;
  /** What happened to a damaged database, for health. */
  #damage: string | null = null;
  /** The path of a damaged database whose events are not restored yet. */
  #damaged: string | null = null;

  constructor(port: MessagePort, options: WorkerOptions) {
    this.#port = port;
    this.#options = { ...options, file: realFile(options.file) };
    const { quality, annotate } = options.config;
    const list = () => this.#connected().writer.files;
    this.#snapshots = new Snapshots(options.snapshots, { quality, annotated: annotate, list });
  }

  open = async (): Promise<TimeHistory> => {
    this.#unlock = await lockForWriting(this.#options.file);
    this.#connected();
    await this.#snapshots.open();
    return this.#guard(() => timeHistory(this.#connected().db));
  };

  commit = (batch: Batch): CommitResult =>
    this.#guard(() => {
      if (this.#connection && inode(this.#options.file) !== this.#connection.inode) {
        this.#logError(
          'STORE_MISSING',
          `database ${this.#options.file} was moved or deleted; creating a new one`,
        );
        this.#disconnect();
      }
      const { db, writer } = this.#connected();
      const rejected = writer.commit(batch);
      this.#lastOutboxId = writer.lastOutboxId;
      return { rejected, overSize: isOverSize(db, this.#options.config) };
    });

  leftOpen = (): LeftOpen[] => this.#guard(() => this.#connected().writer.leftOpen());

  outbox = (afterId: number, limit: number): OutboxRow[] =>
    this.#guard(() => this.#connected().writer.outbox(afterId, limit));

  snapshot = (request: EncodeRequest): Promise<Transferred<SnapshotReply>> => {
    const turn = this.#snapshotTurn.then(() => this.#saveSnapshot(request));
    this.#snapshotTurn = turn.catch(() => {});
    return turn;
  };

  choices = (): Choice[] =>
    this.#guard(() => {
      this.#choices = readChoices(this.#connected().db);
      return this.#choices;
    });

  choose = (changes: ChoiceChanges): void =>
    this.#guard(() => {
      const { db } = this.#connected();
      writeChoices(db, changes);
      this.#choices = readChoices(db);
      try {
        // A camera that was turned off stays off even if the database is damaged before the next backup.
        backUpChoices(db, this.#options.file, this.#logInfo);
      } catch {
        // The next backup reports the fault.
      }
    });

  announced = (broker: string): string[] => this.#guard(() => readAnnounced(this.#connected().db, broker));

  announce = (changes: AnnouncedChanges): void =>
    this.#guard(() => writeAnnounced(this.#connected().db, changes));

  maintain = async (time: KnownTime | null): Promise<RetentionResult> => {
    const connection = this.#connected();
    const { db, writer } = connection;
    const { config } = this.#options;
    const { signal } = this.#closing;
    const yieldToEventLoop = async () => {
      await nextTurn();
      signal.throwIfAborted();
    };
    try {
      let corrected = 0;
      if (time !== null) {
        keepKnownTime(db, time.now);
        // First of all, because a corrected time changes the age of a row.
        corrected = await correctTimes(db, time, () => writer.nextChange(), yieldToEventLoop);
        writer.dropOlderThan(time.now - config.keep_outbox * DAY_MS);
      }
      const deleted = await enforceRetention(db, this.#snapshots, config, time?.now ?? null, signal);
      return { ...deleted, corrected };
    } catch (error) {
      if (this.#connection === connection) this.#recover(error);
      throw explained(this.#options.file, error);
    }
  };

  backup = (time: number | null): void => {
    const { file } = this.#options;
    const { db } = this.#connected();
    try {
      if (time !== null) keepKnownTime(db, time);
      backUp(db, file, this.#logInfo);
    } catch (error) {
      throw explained(backupOf(file), error);
    }
  };

  stats = (): WorkerStats =>
    this.#guard(() => {
      const { db, writer } = this.#connected();
      probe(this.#options.file);
      const number = (sql: string) => Number(db.prepare(sql).pluck().get() ?? 0);
      const written = bytesWrittenByThread();
      return {
        outboxDepth: writer.outboxDepth,
        outboxBytes: writer.outboxBytes,
        outboxDropped: writer.outboxDropped,
        events: number('SELECT count(*) FROM events'),
        detections: number('SELECT (SELECT max(id) FROM detections) - (SELECT min(id) FROM detections) + 1'),
        databaseBytes: bytes(this.#options.file) + bytes(`${this.#options.file}-wal`),
        snapshotBytes: this.#snapshots.bytes,
        bytesWritten: written === null ? null : written + this.#snapshots.written,
        damage: this.#damage,
      };
    });

  close = async (time: number | null): Promise<void> => {
    this.#closing.abort();
    await this.#snapshotTurn;
    try {
      const db = this.#connection?.db;
      db?.pragma(`busy_timeout = ${CLOSE_TIMEOUT_MS}`);
      db?.pragma('wal_checkpoint(TRUNCATE)');
      if (db && time !== null) keepKnownTime(db, time);
      if (db) backUp(db, this.#options.file, this.#logInfo);
    } finally {
      this.#disconnect();
      this.#unlock();
      setImmediate(() => this.#port.close());
    }
  };

  async #saveSnapshot(request: EncodeRequest): Promise<Transferred<SnapshotReply>> {
    const jpeg = await this.#snapshots.encode(request);
    let fault: LoggedFault | null = null;
    try {
      const { path, event, capturedAt: at, timeUncertain, clock = null } = request;
      const note = { path, event, at, time_uncertain: Number(timeUncertain ?? false), clock };
      if (request.keep) await this.#snapshots.write(note, jpeg);
    } catch (error) {
      if (isDamage(error)) this.#recover(error);
      const {
        code,
        message,
        hint = '',
      } = unwritable('snapshot', join(this.#options.snapshots, request.path), error);
      fault = { code, fault: message, hint };
      if (isFull(error)) void this.#makeRoom();
    }
    return new Transferred({ jpeg, data: request.data, fault }, [jpeg.buffer, request.data]);
  }

  /** The open database; opens it if necessary and moves a damaged file aside. */
  #connected(): Connection {
    if (this.#connection) return this.#connection;
    try {
      this.#connection = this.#connect();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#setAside(error);
      this.#connection = this.#connect();
    }
    return this.#connection;
  }

  #connect(): Connection {
    const { file, config } = this.#options;
    const db = openForWriting(file, this.#logInfo);
    try {
      this.#restore(db);
      if (this.#choices) writeChoices(db, { keep: this.#choices, forget: readChoices(db) });
      const writer = new Writer(db, {
        maxOutbox: config.max_outbox,
        maxOutboxBytes: config.max_outbox_size * 1_000_000,
        outboxFloor: this.#lastOutboxId,
      });
      this.#lastOutboxId = writer.lastOutboxId;
      return { db, writer, inode: inode(file) };
    } catch (error) {
      db.close();
      throw error;
    }
  }

  #disconnect(): void {
    this.#connection?.db.close();
    this.#connection = null;
  }

  /** Runs `work`, and recovers if it fails because of the file or the disk. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#recover(error);
      throw explained(this.#options.file, error);
    }
  }

  /** Makes the next call start with a new connection after a fault of the file or the disk. */
  #recover(error: unknown): void {
    if (isDamage(error)) {
      this.#backUpLast();
      this.#disconnect();
      this.#setAside(error);
    } else if (/^SQLITE_(IOERR|READONLY|CANTOPEN)/.test(codeOf(error))) this.#disconnect();
    else if (isFull(error)) void this.#makeRoom();
  }

  /** Copies what is still readable through this connection into the backup. */
  #backUpLast(): void {
    try {
      if (this.#connection) backUp(this.#connection.db, this.#options.file);
    } catch {
      // The backup stays unchanged.
    }
  }

  /** Deletes snapshots to make room for events on a full disk. */
  async #makeRoom(): Promise<void> {
    if (this.#makingRoom) return;
    this.#makingRoom = true;
    try {
      const days = this.#options.config.keep_newest_snapshots;
      const { deleted, short } = await this.#snapshots.makeRoom(days, async () => {
        await nextTurn();
        this.#closing.signal.throwIfAborted();
      });
      if (deleted > 0)
        this.#logError('STORE_FULL', `the disk is full: deleted the oldest ${deleted} snapshots`);
      if (short && !this.#short) {
        this.#logError(
          'STORE_FULL',
          `the disk is full, and no old snapshots are left to delete: those of the last ${days === 1 ? 'day' : `${days} days`} are kept (store.keep_newest_snapshots)`,
        );
      }
      this.#short = short;
      this.#connection?.db.pragma('wal_checkpoint(TRUNCATE)');
    } catch {
      // Retried after the next failed write.
    } finally {
      this.#makingRoom = false;
    }
  }

  #setAside(error: unknown): void {
    const { file } = this.#options;
    const aside = quarantine(file, systemClock.now());
    this.#damaged = aside;
    this.#damage = `database ${file} is damaged (${messageOf(error)}): moved it to ${aside} and created a new one`;
    this.#logError(
      'STORE_CORRUPT',
      this.#damage,
      `To recover its rows, try: sqlite3 ${aside} .recover | sqlite3 saved.db. Check that cameras that were turned off over MQTT are still off.`,
    );
  }

  /** Copies the events of a damaged database into the new one, as far as they are readable. */
  #restore(db: Database): void {
    if (this.#damaged === null) return;
    const { file } = this.#options;
    const events = restore(db, file, this.#damaged);
    listQuarantined(db, file, this.#damaged);
    this.#damaged = null;
    try {
      // So that the list of copies survives further damage.
      backUp(db, file, this.#logInfo);
    } catch {
      // The next backup reports the fault.
    }
    this.#damage += `; ${events} events restored`;
    const choices = readChoices(db).length;
    if (events + choices > 0) {
      this.#logError(
        'STORE_CORRUPT',
        `${events} events and ${choices} choices restored from the backup and the damaged file`,
      );
    }
  }

  readonly #logInfo = (info: string): void => this.#port.postMessage({ info } satisfies LoggedInfo);

  #logError(code: LoggedFault['code'], fault: string, hint = ''): void {
    this.#port.postMessage({ code, fault, hint } satisfies LoggedFault);
  }
}

/**
 * Reads the newest rows of each table from the disk with a new connection; an open one would answer from its cache.
 * @throws SqliteError if the file is damaged
 */
function probe(file: string): void {
  const db = openDatabase(file, { readonly: true, timeout: PROBE_TIMEOUT_MS });
  try {
    for (const table of ['events', 'detections', 'outbox', 'samples']) {
      db.prepare(`SELECT * FROM ${table} ORDER BY rowid DESC LIMIT 1`).get();
    }
    readChoices(db);
  } finally {
    db.close();
  }
}

function isFull(error: unknown): boolean {
  return /^(SQLITE_FULL|ENOSPC|EDQUOT)/.test(codeOf(error));
}

function inode(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.ino ?? 0;
}

function bytes(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Bytes that this thread has written to the disk (proc(5), `io`). */
function bytesWrittenByThread(): number | null {
  try {
    const io = readFileSync('/proc/thread-self/io', 'latin1');
    return Number(/^write_bytes: (\d+)$/m.exec(io)?.[1] ?? NaN) || 0;
  } catch {
    return null;
  }
}

if (parentPort) {
  exposeRpc<WorkerApi>(parentPort, new StoreThread(parentPort, workerData as WorkerOptions));
  scheduleGc();
}
