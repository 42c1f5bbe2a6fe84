import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import type { StoreConfig } from '../../src/config/schema.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { openForWriting } from '../../src/store/database.ts';
import { FileList } from '../../src/store/file-list.ts';
import { Reader } from '../../src/store/log-reader.ts';
import { readMark } from '../../src/store/snapshot-mark.ts';
import { Store } from '../../src/store/store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { eventChange } from '../fakes/events.ts';
import { healthSample } from '../fakes/health.ts';
import { FakeLog } from '../fakes/log.ts';
import { Seeded } from '../support/random.ts';
import { requires, times } from '../support/requires.ts';
import {
  detection,
  entry,
  fileNote,
  folder,
  isIntact,
  jpegOf,
  markedJpeg,
  message,
  rowsIn,
  storeConfig,
} from '../support/store.ts';
import { until } from '../support/until.ts';

/** Why no small file system can be mounted, or false. */
const noMount =
  requires('mount') || (process.getuid?.() !== 0 && 'needs the right to mount a small file system');
const KILLS = times(5, 20);

async function open(
  t: TestContext,
  path = folder(),
  changes: Partial<StoreConfig> = {},
  clock: Clock = systemClock,
) {
  const file = join(path, 'lookout.db');
  const log = new FakeLog();
  const store = new Store({
    file,
    snapshots: join(path, 'snapshots'),
    config: storeConfig(changes),
    clock,
    log: log.logger,
  });
  t.after(() => store.stop());
  await store.start();
  return { store, log, file, path };
}

/** The content of the file, after the store has closed it. */
function contents<T>(file: string, look: (db: ReturnType<typeof openForWriting>) => T): T {
  const db = openForWriting(file);
  try {
    assert.ok(isIntact(db));
    return look(db);
  } finally {
    db.close();
  }
}

function record(store: Store, id: string, type: 'start' | 'end' = 'start'): Promise<boolean> {
  const { change, messages } = entry({ id }, type);
  return store.recordEvent(change, messages);
}

test('recorded entries are in the file, and published messages are deleted from it', async (t) => {
  const { store, file } = await open(t);
  assert.deepEqual(await Promise.all([record(store, 'a'), record(store, 'a', 'end'), record(store, 'b')]), [
    true,
    true,
    true,
  ]);
  const waiting = await store.outbox(0, 10);
  assert.deepEqual(
    waiting.map(({ id, payload }) => [id, payload]),
    [
      [1, 'start a'],
      [2, 'end a'],
      [3, 'start b'],
    ],
  );
  assert.deepEqual(
    (await store.outbox(1, 1)).map(({ id }) => id),
    [2],
  );
  const { event } = eventChange({ id: 'b' });
  assert.deepEqual(await store.leftOpen(), [{ event, lastSeenAt: event.startedAt }]);
  store.recordDetections([detection(), detection()]);
  store.recordSample(healthSample());
  store.published(2);
  await store.stop();
  contents(file, (db) => {
    assert.deepEqual(db.prepare('SELECT id FROM outbox').pluck().all(), [3]);
    assert.deepEqual([rowsIn(db, 'events'), rowsIn(db, 'detections'), rowsIn(db, 'samples')], [2, 2, 1]);
  });
  assert.ok(!existsSync(`${file}-wal`), 'the write-ahead log was checkpointed');
});

test('the next run finds the events that a crash left open', async (t) => {
  const { store, path } = await open(t);
  await record(store, 'left-open');
  await store.stop();
  const next = await open(t, path);
  assert.deepEqual(
    (await next.store.leftOpen()).map(({ event: { id } }) => id),
    ['left-open'],
  );
});

test('a snapshot is written and returned as JPEG, and the buffer is returned for the next frame', async (t) => {
  const { store, path } = await open(t);
  const [width, height] = [640, 480];
  const data = new Uint8Array((width * height * 3) / 2).fill(128).buffer;
  const saved = await store.saveSnapshot({
    path: 'drive/2026-01-31/a.jpg',
    event: 'a',
    capturedAt: Date.now(),
    format: { width, height, pixels: 'i420', colour: 'bt601' },
    data,
    transform: { rotate: 90, mirror: 'none' },
    annotation: null,
  });
  assert.equal(data.byteLength, 0, 'transferred, not copied');
  assert.equal(saved.data.byteLength, (width * height * 3) / 2);
  assert.equal(saved.written, true);
  const file = readFileSync(join(path, 'snapshots/drive/2026-01-31/a.jpg'));
  assert.equal(readMark(file)?.event, 'a');
  assert.ok(file.subarray(-1000).equals(saved.jpeg.subarray(-1000)));
  const info = await sharp(saved.jpeg).metadata();
  assert.deepEqual([info.width, info.height], [height, width]);
  assert.equal((await store.stats()).snapshotBytes, file.byteLength);
});

test('the statistics are consistent', async (t) => {
  const { store } = await open(t);
  store.recordDetections([detection(), detection(), detection()]);
  await record(store, 'a');
  const stats = await store.stats();
  assert.deepEqual(
    [stats.events, stats.detections, stats.outboxDepth, stats.outboxDropped, stats.waiting, stats.error],
    [1, 3, 1, 0, 0, null],
  );
  assert.ok(stats.databaseBytes > 10_000);
  assert.deepEqual(stats.lost, { events: 0, detections: 0 });
});

test('a second Lookout on the same database is refused', async (t) => {
  const { path, store } = await open(t);
  await assert.rejects(open(t, path), { code: 'STORE_LOCKED' });
  const links = folder();
  symlinkSync(join(path, 'lookout.db'), join(links, 'lookout.db'));
  await assert.rejects(open(t, links), { code: 'STORE_LOCKED' });
  assert.deepEqual(readdirSync(links), ['lookout.db']);
  assert.equal(await record(store, 'unharmed'), true);
});

test('copies of a database behind a symbolic link are next to the real file', async (t) => {
  const [real, links] = [folder(), folder()];
  symlinkSync(join(real, 'lookout.db'), join(links, 'lookout.db'));
  writeFileSync(join(real, 'lookout.db'), Buffer.alloc(50_000, 'no database'));
  const { store } = await open(t, links);
  assert.equal(await record(store, 'a'), true);
  await store.stop();
  assert.deepEqual(readdirSync(links).sort(), ['lookout.db', 'snapshots']);
  assert.equal(readdirSync(real).filter((name) => name.includes('.corrupt-')).length, 1);
  assert.ok(existsSync(join(real, 'lookout.db.backup')));
});

test('a folder that cannot be created stops the start with its name', async (t) => {
  const blocker = join(folder(), 'file');
  writeFileSync(blocker, '');
  await assert.rejects(open(t, join(blocker, 'data')), {
    code: 'STORE_UNWRITABLE',
    message: /file\/data\/lookout\.db/,
  });
  const path = folder();
  writeFileSync(join(path, 'snapshots'), '');
  await assert.rejects(open(t, path), { code: 'STORE_UNWRITABLE', message: /snapshots/ });
  await open(t, folder());
});

test('a damaged database at the start is renamed with a log message, and the log continues in a new one', async (t) => {
  const path = folder();
  const rubbish = Buffer.alloc(50_000, 'no database');
  writeFileSync(join(path, 'lookout.db'), rubbish);
  const { store, log, file } = await open(t, path);
  assert.equal(await record(store, 'first'), true);
  const aside = readdirSync(path).filter((name) => name.includes('.corrupt-'));
  assert.equal(aside.length, 1);
  assert.deepEqual(readFileSync(join(path, aside[0]!)), rubbish);
  const said = log.lines.filter(({ level }) => level >= 50);
  assert.equal(said.length, 1);
  assert.match(said[0]!.msg, /lookout\.db is damaged .* moved it to .*corrupt-.* and created a new one/);
  await store.stop();
  contents(file, (db) => assert.equal(rowsIn(db, 'events'), 1));
});

test('a database that is damaged while running is renamed, and restored from its backup', async (t) => {
  const { store, log, file, path } = await open(t);
  for (let i = 0; i < 50; i++) await record(store, `before-${i}`);
  await store.stop();

  const next = await open(t, path);
  await next.store.outbox(0, 1);
  // Overwrites the pages of tables and indexes; the header stays valid.
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(statSync(file).size - 4096, 0xa5), 0, undefined, 4096);
  const last = next.store.outbox(0, 10);
  assert.equal(await record(next.store, 'after'), true);
  assert.ok((await last).length === 0 || (await last)[0]!.id === 1);
  assert.equal(
    next.log.withCode('STORE_CORRUPT').length + log.lines.filter(({ level }) => level >= 50).length,
    0,
  );
  assert.match(next.log.text, /STORE_CORRUPT/);
  const rows = await next.store.outbox(0, 100);
  assert.deepEqual(
    rows.map(({ id }) => id),
    Array.from({ length: 51 }, (_, i) => i + 1),
    'what waits is there again, and outbox ids go on counting',
  );
  assert.match((await next.store.stats()).damage!, /is damaged .*; 50 events restored/);
  await next.store.stop();
  const before = Array.from({ length: 50 }, (_, i) => `before-${i}`);
  contents(file, (db) => {
    assert.deepEqual(db.prepare('SELECT id FROM events ORDER BY seq').pluck().all(), [...before, 'after']);
  });
});

test('choices survive a database that is deleted or damaged while running', async (t) => {
  const { store, file, path } = await open(t);
  const choice = { camera: 'gate', setting: 'enabled', value: 'false', configured: 'true', chosenAt: 1 };
  const other = { ...choice, setting: 'detect' };
  await store.choose({ keep: [choice, other], forget: [] });
  await store.choose({ keep: [], forget: [other] });
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
  await record(store, 'after');
  assert.deepEqual(await store.choices(), [choice]);
  await store.stop();

  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(statSync(file).size - 4096, 0xa5), 0, undefined, 4096);
  const next = await open(t, path);
  await record(next.store, 'later');
  assert.deepEqual(await next.store.choices(), [choice]);
  await next.store.stop();
});

test('a database that is deleted while running is detected and created again', async (t) => {
  const { store, log, file } = await open(t);
  await record(store, 'gone');
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
  assert.equal(await record(store, 'kept'), true);
  assert.match(log.text, /was moved or deleted/);
  await store.stop();
  contents(file, (db) => assert.deepEqual(db.prepare('SELECT id FROM events').pluck().all(), ['kept']));
});

test(`no committed event is lost or altered by SIGKILL, ${KILLS} times`, { timeout: 240_000 }, async () => {
  const path = folder();
  const file = join(path, 'lookout.db');
  const random = new Seeded(20);
  const base = Date.now();
  const acknowledged = new Map<string, 'start' | 'end'>();
  for (let run = 0; run < KILLS; run++) {
    const program = fileURLToPath(new URL('../fakes/record-events.ts', import.meta.url));
    const child = spawn(process.execPath, [program, path, String(run), String(base)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const kill = random.int(1, 150);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.split('\n').length > kill) child.kill('SIGKILL');
    });
    await new Promise((resolve) => child.once('close', resolve));
    assert.equal(child.signalCode, 'SIGKILL');
    for (const line of text.split('\n').slice(0, -1)) {
      const [type, id] = line.split(' ') as ['start' | 'end', string];
      acknowledged.set(id, type);
    }

    contents(file, (db) => {
      const row = db.prepare<[string], Record<string, unknown>>('SELECT * FROM events WHERE id = ?');
      const sent = new Set(db.prepare('SELECT payload FROM outbox').pluck().all());
      for (const [id, type] of acknowledged) {
        const i = Number(id.split('-')[1]);
        const event = row.get(id);
        assert.ok(event, `event ${id} was acknowledged and is not there after kill ${run}`);
        assert.equal(event.score, i / 1e6);
        assert.equal(event.started_at, base + i);
        if (type === 'end') assert.equal(event.ended_at, base + i + 1);
        assert.equal(event.snapshot, `${'x'.repeat(i % 3000)}.jpg`);
        for (const step of type === 'end' ? ['start', 'end'] : ['start']) {
          assert.ok(sent.has(`${step} ${id}`), `message of ${step} ${id} is not there`);
        }
      }
    });
  }
  assert.ok(acknowledged.size > 100, `${acknowledged.size} events`);
});

test('a database that grows over its limit is shrunk immediately, and again every hour', async (t) => {
  const clock = new FakeClock();
  const { store, log } = await open(t, folder(), { max_database: 10 }, clock);
  const cleaned = () => log.lines.filter(({ msg }) => msg === 'deleted old entries').length;
  let count = 0;
  const grow = async (megabytes: number) => {
    const large = { scores: [], threshold: 0, hits: 0, window: 0, gate: 'x'.repeat(10_000) as 'motion' };
    const written = Array.from({ length: megabytes * 100 }, () => {
      const startedAt = clock.now() - 60_000 + count;
      const { change } = entry({ id: `e${count++}`, startedAt, endedAt: startedAt, reason: large }, 'end');
      return store.recordEvent(change, []);
    });
    await Promise.all(written);
  };
  await grow(9);
  assert.equal(cleaned(), 0);
  clock.advance(61_000);
  await grow(3);
  await until('the first clean-up', () => cleaned() === 1);
  const first = await store.stats();
  assert.ok(first.events < count && first.events > 400, `${first.events} of ${count} events are left`);

  const { change } = entry({ id: 'old', startedAt: clock.now() - 91 * 86_400_000 }, 'end');
  await store.recordEvent(change, []);
  clock.advance(3_600_000);
  await until('the hourly clean-up', () => cleaned() === 2);
});

test('another process reads while this one writes', async (t) => {
  const { store, file } = await open(t);
  const reader = new Reader(file);
  t.after(() => reader.close());
  for (let i = 0; i < 200; i++) {
    const written = record(store, `e${i}`);
    assert.ok([...reader.events({})].length <= i + 1);
    assert.equal(await written, true);
    assert.equal([...reader.events({})].length, i + 1);
  }
});

test('a store thread that dies is replaced, and pending entries are written', async (t) => {
  const threads: Worker[] = [];
  const onWorker = (worker: Worker) => threads.push(worker);
  process.on('worker', onWorker);
  t.after(() => process.off('worker', onWorker));
  const { store, log, file } = await open(t);
  await record(store, 'before');
  const ended = threads[0]!.terminate();
  const during = record(store, 'during');
  await ended;
  assert.equal(await during, true);
  assert.equal(threads.length, 2);
  assert.match(log.text, /store thread has ended/);
  assert.equal(await record(store, 'after'), true);
  await store.stop();
  contents(file, (db) => assert.equal(rowsIn(db, 'events'), 3));
});

test('the main thread continues while the database is busy', async (t) => {
  const { store, file } = await open(t);
  const blocker = openForWriting(file);
  blocker.exec('BEGIN IMMEDIATE');
  let written = false;
  const recorded = record(store, 'a').then((ok) => {
    written = ok;
  });
  for (let turn = 0; turn < 20; turn++) {
    store.recordDetections([detection()]);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(written, false);
  blocker.exec('COMMIT');
  blocker.close();
  await recorded;
  assert.equal(written, true);
});

describe('a full disk', { skip: noMount }, () => {
  test('a full disk: events wait in memory, are written when there is space, and it is logged once', async (t) => {
    const path = join(folder(), 'disk');
    mkdirSync(path);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path]).status !== 0) {
      t.skip('needs the right to mount a small file system');
      return;
    }
    t.after(() => execFileSync('umount', [path]));
    const { store, log } = await open(t, path);
    const filler = join(path, 'filler');
    assert.equal(await record(store, 'before'), true);
    assert.throws(() => writeFileSync(filler, Buffer.alloc(4_000_000)), { code: 'ENOSPC' });

    const waiting: Promise<boolean>[] = [];
    const large = 'x'.repeat(20_000);
    for (let i = 0; i < 5; i++) {
      const { change } = entry({ id: `during-${i}` });
      waiting.push(store.recordEvent(change, [message(large)]));
    }
    await until('the fault to be noticed', () => log.text.includes('cannot write the database'));
    const { written } = await store.saveSnapshot({
      path: 'drive/2026-01-31/a.jpg',
      event: 'a',
      capturedAt: 0,
      format: { width: 64, height: 64, pixels: 'rgb24', colour: 'jpeg' },
      data: new ArrayBuffer(64 * 64 * 3),
      transform: { rotate: 0, mirror: 'none' },
      annotation: null,
    });
    assert.equal(written, false);
    const [unsaved] = log.lines.filter(({ msg }) => msg.startsWith('writing snapshots failed'));
    assert.equal(unsaved?.code, 'STORE_FULL');
    assert.match(unsaved.msg, /disk\/snapshots\/drive\/2026-01-31\/a\.jpg: .*(ENOSPC|SQLITE_FULL)/);
    assert.equal(log.withCode('STORE_FULL').length, 2, 'the database logged it, too');
    const { waiting: count, error } = await store.stats();
    assert.equal(count, 5);
    assert.match(error ?? '', /disk is full|I\/O error/);
    assert.equal((await store.outbox(0, 10)).length, 1, 'reading continues');

    rmSync(filler);
    assert.deepEqual(await Promise.all(waiting), Array(5).fill(true));
    assert.match(log.text, /the database can be written again/);
    assert.equal(log.lines.filter(({ msg }) => msg.startsWith('cannot write the database')).length, 1);
    await store.stop();
    contents(join(path, 'lookout.db'), (db) => assert.equal(rowsIn(db, 'events'), 6));
  });

  test('if another program fills the disk, the snapshots of the last day stay, and it is logged once', async (t) => {
    const path = join(folder(), 'disk');
    mkdirSync(path);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path]).status !== 0) {
      t.skip('needs the right to mount a small file system');
      return;
    }
    t.after(() => execFileSync('umount', ['-l', path]));
    const { store, log, file } = await open(t, path);
    const db = openForWriting(file);
    const list = new FileList(db);
    const day = 'drive/2026-01-31';
    mkdirSync(join(path, 'snapshots', day), { recursive: true });
    const put = (event: string, daysAgo: number) => {
      const snapshot = join(path, 'snapshots', day, `${event}.jpg`);
      // In this order: maintenance after the start removes missing files from the list.
      writeFileSync(snapshot, markedJpeg(list.installation, event, 20_000));
      list.note(fileNote(`${day}/${event}.jpg`, { event, at: Date.now() - daysAgo * 86_400_000 }));
      return snapshot;
    };
    const old = [put('a', 3), put('b', 2)];
    const photo = join(path, 'snapshots', day, 'photo.jpg');
    writeFileSync(photo, jpegOf(20_000));
    const recent = [put('c', 0.5), put('d', 0.1)];
    db.close();
    for (let round = 0; round < 2; round++) {
      const filler = join(path, `filler-${round}`);
      assert.throws(() => writeFileSync(filler, Buffer.alloc(6_000_000)), { code: 'ENOSPC' });
      const { change } = entry({ id: `during-${round}` });
      const written = store.recordEvent(change, [message('x'.repeat(400_000))]);
      await until('the fault to be noticed', () => log.text.includes('no old snapshots are left'));
      assert.deepEqual(
        old.map((snapshot) => existsSync(snapshot)),
        [false, false],
      );
      assert.ok([photo, ...recent].every((snapshot) => existsSync(snapshot)));
      rmSync(filler);
      assert.equal(await written, true);
    }
    assert.match(log.text, /deleted the oldest 2 snapshots/);
    const said = log.lines.filter(({ msg }) => msg.includes('no old snapshots are left'));
    assert.ok(said.length <= 2, 'once for each time that the disk is full');
    assert.match(said[0]!.msg, /those of the last day are kept \(store\.keep_newest_snapshots\)/);
  });
});

test('a reader of another user gets a clear error', {
  skip: process.getuid?.() !== 0 && 'needs root to become another user',
}, async (t) => {
  const { path } = await open(t);
  const program = `
    import { Reader } from ${JSON.stringify(new URL('../../src/store/log-reader.ts', import.meta.url).href)};
    process.setuid(65534);
    try { new Reader(${JSON.stringify(join(path, 'lookout.db'))}); } catch (error) { console.log(error.code, error.hint); }`;
  const said = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
    encoding: 'utf8',
  });
  assert.match(said, /^STORE_UNREADABLE Run the command as the daemon’s user/);
});
