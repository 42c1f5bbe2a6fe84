import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Database } from 'better-sqlite3';
import { configSchema, type StoreConfig } from '../../src/config/schema.ts';
import { openForWriting } from '../../src/store/database.ts';
import { FileList, type FileNote } from '../../src/store/file-list.ts';
import { Snapshots, type SnapshotsOptions } from '../../src/store/snapshot-files.ts';
import { withMark } from '../../src/store/snapshot-mark.ts';
import type { Batch, EventEntry, OutboxMessage } from '../../src/store/store-types.ts';
import type { Detection, DetectionEvent, EventChange } from '../../src/types.ts';
import { eventChange } from '../fakes/events.ts';
import { tempFolder } from './folder.ts';

export { tempFolder as folder };

/** A new database that is closed after the test. */
export function freshDatabase(t: TestContext): Database {
  const db = openForWriting(join(tempFolder(), 'lookout.db'));
  t.after(() => db.close());
  return db;
}

/** The snapshots in a folder, listed in a database. */
export function snapshotsIn(path: string, db: Database, changes: Partial<SnapshotsOptions> = {}): Snapshots {
  const list = new FileList(db);
  return new Snapshots(path, { quality: 85, annotated: false, list: () => list, ...changes });
}

/** The list entry of an event's file. */
export function fileNote(path: string, changes: Partial<FileNote> = {}): FileNote {
  return { path, event: 'a', at: Date.UTC(2026, 0, 31), time_uncertain: 0, clock: null, ...changes };
}

/** The smallest valid start of a JPEG file, padded to this many bytes. */
export function jpegOf(bytes: number): Uint8Array {
  return Buffer.concat([
    Buffer.from('ffd8ffe000104a46494600010100000100010000ffda', 'hex'),
    Buffer.alloc(bytes),
  ]).subarray(0, bytes);
}

/** A snapshot as an installation writes it, of about this many bytes. */
export function markedJpeg(installation: string, event: string, bytes = 1000): Buffer {
  return Buffer.concat(withMark(jpegOf(bytes), { installation, event }));
}

export function storeConfig(changes: Partial<StoreConfig> = {}): StoreConfig {
  return { ...configSchema.parse({}).store, ...changes };
}

export function message(payload: string): OutboxMessage {
  return { topic: 'lookout/test/drive/event', payload, qos: 1, retain: false, live: false };
}

/** A step of an event with one message that names it. */
export function entry(
  changes: Partial<DetectionEvent> = {},
  type: EventChange['type'] = 'start',
): EventEntry {
  const change = eventChange(changes, type);
  return { change, messages: [message(`${type} ${change.event.id}`)], recordedAt: change.event.startedAt };
}

export function detection(changes: Partial<Detection> = {}): Detection {
  return {
    camera: 'drive',
    zone: null,
    label: 'vehicle',
    score: 0.7,
    box: { x: 0, y: 0, w: 1, h: 1 },
    capturedAt: Date.UTC(2026, 0, 1),
    model: 'demo',
    ...changes,
  };
}

export function batch(changes: Partial<Batch> = {}): Batch {
  return {
    events: [],
    detections: [],
    samples: [],
    clocks: [],
    publishedUpTo: 0,
    undeliverable: 0,
    ...changes,
  };
}

/** The number of rows in a table. */
export function rowsIn(db: Database, table: string): number {
  return Number(db.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
}

export function isIntact(db: Database): boolean {
  return db.pragma('integrity_check', { simple: true }) === 'ok';
}
