import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LookoutError } from '../../../src/errors.ts';
import { createLogger, type LoggerOptions, logEvent } from '../../../src/runtime/logger.ts';
import type { DetectionEvent } from '../../../src/types.ts';
import { tempFolder } from '../../support/folder.ts';
import { until } from '../../support/until.ts';

function collect(options: LoggerOptions = {}) {
  const lines: string[] = [];
  const log = createLogger({
    terminal: false,
    env: { NO_COLOR: '1' },
    ...options,
    destination: { write: (line: string) => lines.push(line) },
  });
  const json = (index = 0) => JSON.parse(lines[index] ?? 'null') as Record<string, unknown>;
  /** A readable line without its time. */
  const text = (index = 0) => (lines[index] ?? '').replace(/^\d\d:\d\d:\d\d /, '').trimEnd();
  return { log, lines, json, text };
}

const event: DetectionEvent = {
  id: '0198c0de-0000-7000-8000-000000000000',
  camera: 'driveway',
  zone: null,
  label: 'vehicle',
  score: 0.91,
  topScore: 0.97,
  box: { x: 0, y: 0, w: 1, h: 1 },
  startedAt: 1000,
  endedAt: null,
  model: 'mobilenet',
  snapshot: null,
  reason: { scores: [0.91], threshold: 0.6, hits: 1, window: 1, gate: 'motion' },
};

test('lines are JSON with a named level and an ISO time when standard output is no terminal', () => {
  const { log, json } = collect();
  log.info({ threads: 2 }, 'model ready');
  const { time, ...rest } = json();
  assert.deepEqual(rest, { level: 'info', threads: 2, msg: 'model ready' });
  assert.ok(!Number.isNaN(Date.parse(String(time))));
});

test('lines are short and readable on a terminal', () => {
  const { log, text } = collect({ terminal: true });
  log.child({ camera: 'driveway' }).info({ size: '640x480' }, 'camera started');
  assert.equal(text(), 'INFO  driveway camera started size=640x480');
});

test('a field whose value the message already holds is not repeated', () => {
  const { log, text } = collect({ terminal: true });
  log.info({ provider: 'cuda', reason: 'no library' }, 'skipping cuda: no library');
  assert.equal(text(), 'INFO  skipping cuda: no library');
});

test('the configured format wins over what standard output is', () => {
  const json = collect({ terminal: true, format: 'json' });
  json.log.info('x');
  assert.equal(json.json().msg, 'x');
  const pretty = collect({ terminal: false, format: 'pretty' });
  pretty.log.warn('x');
  assert.equal(pretty.text(), 'WARN  x');
});

test('colours appear on a terminal unless NO_COLOR is set', () => {
  const plain = collect({ terminal: true });
  plain.log.info('x');
  assert.ok(!plain.lines[0]?.includes('\u001b['));
  const coloured = collect({ terminal: true, env: {} });
  coloured.log.info('x');
  assert.ok(coloured.lines[0]?.includes('\u001b['));
});

test('lines below the level are left out', () => {
  const { log, lines } = collect({ level: 'warn' });
  log.info('x');
  log.warn('y');
  assert.equal(lines.length, 1);
});

test('a foreseen error shows its code, cause and hint and no stack', () => {
  const error = new LookoutError('INTERNAL', 'camera program died', {
    cause: new Error('exit code 3'),
    hint: 'Check the cable.',
  });
  const machine = collect();
  machine.log.error({ err: error }, 'source failed');
  assert.deepEqual(machine.json().err, {
    code: 'INTERNAL',
    message: 'camera program died',
    hint: 'Check the cable.',
    cause: 'exit code 3',
  });
  const person = collect({ terminal: true });
  person.log.error({ err: error }, 'source failed');
  assert.equal(
    person.text(),
    'ERROR source failed: camera program died (INTERNAL)\n      because exit code 3\n      Check the cable.',
  );
});

test('an unforeseen error shows its stack', () => {
  const machine = collect();
  machine.log.error(new Error('boom'));
  assert.match(String((machine.json().err as { stack: string }).stack), /boom\n\s+at /);
  const person = collect({ terminal: true });
  person.log.error({ err: new Error('boom') }, 'worker failed');
  assert.match(person.text(), /^ERROR worker failed\n {4}Error: boom\n\s+at /);
});

test('an event is one readable line with all of its fields in JSON', () => {
  const person = collect({ terminal: true });
  logEvent(person.log.child({ camera: 'driveway' }), { type: 'start', event });
  logEvent(person.log.child({ camera: 'driveway' }), { type: 'update', event });
  logEvent(person.log.child({ camera: 'driveway' }), {
    type: 'end',
    event: { ...event, zone: 'street', endedAt: 5200 },
  });
  assert.deepEqual(
    person.lines.map((_, index) => person.text(index)),
    [
      'EVENT driveway vehicle seen, score 0.91',
      'EVENT driveway vehicle gone in street after 4.2 s, best score 0.97',
    ],
  );
  const machine = collect();
  logEvent(machine.log.child({ camera: 'driveway' }), { type: 'start', event });
  assert.equal(machine.lines[0]?.match(/"camera"/g)?.length, 1);
  assert.deepEqual(machine.json().event, {
    id: event.id,
    type: 'start',
    label: 'vehicle',
    score: 0.91,
    top_score: 0.97,
    zone: null,
    snapshot: null,
    reason: event.reason,
  });
});

test('no password reaches the log, in fields, addresses, messages or stacks', () => {
  for (const terminal of [true, false]) {
    const { log, lines } = collect({ terminal });
    log.info(
      { password: 'hunter2', mqtt: { password: 'hunter2', tls: { passphrase: 'hunter2' } } },
      'config',
    );
    log.info({ url: 'rtsp://admin:hunter2@10.0.0.9/live' }, 'opening');
    log.warn('ffmpeg: http://10.0.0.9/video?user=admin&password=hunter2&x=1: 401');
    log.error(new Error('cannot reach mqtt://me:hunter2@broker'));
    log.error({ err: new LookoutError('INTERNAL', 'no answer from rtsp://admin:hunter2@cam/1') });
    assert.equal(lines.length, 5);
    assert.ok(!lines.join('').includes('hunter2'), lines.join(''));
  }
});

test('a password with quotes, and addresses beside each other, are hidden without harm to the line', () => {
  const { log, lines } = collect();
  log.warn({ url: 'rtsp://cam/1', camera: 'a@b' }, 'open "rtsp://me:p"w@cam/1" failed');
  assert.deepEqual(
    { ...(JSON.parse(lines[0] ?? '') as object), time: '' },
    { level: 'warn', time: '', url: 'rtsp://cam/…', camera: 'a@b', msg: 'open "rtsp://***@cam/…" failed' },
  );
});

test('escape sequences from a camera program do not reach the terminal', () => {
  const { log, lines } = collect({ terminal: true });
  log.warn('stderr: \u001b]0;title\u0007\u001b[31mred');
  assert.ok(!lines[0]?.includes('\u001b'));
});

test('in the journal each line carries its priority, elsewhere none does', () => {
  const folder = tempFolder();
  const fd = openSync(join(folder, 'out'), 'w');
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const journal = collect({ fd, env: { JOURNAL_STREAM: `${dev}:${ino}` } });
  journal.log.warn('x');
  journal.log.error('y');
  assert.deepEqual(
    journal.lines.map((line) => line.slice(0, 4)),
    ['<4>{', '<3>{'],
  );
  const other = collect({ fd, env: { JOURNAL_STREAM: `${dev}:1` } });
  other.log.warn('x');
  assert.equal(other.lines[0]?.[0], '{');
  rmSync(folder, { recursive: true });
});

const writer = `
  import { createLogger } from ${JSON.stringify(new URL('../../../src/runtime/logger.ts', import.meta.url).href)};
  const log = createLogger({ format: process.argv[1] });
  for (let i = 0; i < 5000; i++) log.info({ i }, 'line');
  process.stderr.write(String(performance.now()));
`;

test('every line is written before the process ends, even to a slow reader, who does not stall it', async () => {
  for (const format of ['json', 'pretty']) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', writer, format]);
    await once(child.stderr, 'data');
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await once(child, 'close');
    const lines = text.trimEnd().split('\n');
    assert.equal(lines.length, 5000);
    assert.match(lines[4999] ?? '', /"i":4999|i=4999/);
  }
});

test('a pipe that nobody reads does not keep the process from ending', async () => {
  const again = `${writer}; setTimeout(() => log.info('later'), 50);`;
  for (const end of ['', 'process.exit(3)', `throw new Error('end')`]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', `${again}; ${end}`, 'json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const stuck = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const [, signal] = await once(child, 'exit');
    clearTimeout(stuck);
    assert.equal(signal, null, `it ends after: ${end}`);
    child.stdout!.destroy();
  }
});

test('a reader that stands still for a while gets the lines that wait', async () => {
  const patient = `${writer}; const wait = setInterval(() => {}, 1000); process.stdin.once('data', () => clearInterval(wait) || process.stdin.destroy());`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', patient, 'json']);
  await once(child.stderr, 'data');
  // Longer than the writer's patience: it must try again by itself.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await until('the last line', () => text.includes('"i":4999'));
  child.stdin.write('end');
  await once(child, 'close');
  assert.equal(text.trimEnd().split('\n').length, 5000);
});

test('a log to a file is complete after an uncaught exception', () => {
  const folder = tempFolder();
  const file = join(folder, 'out');
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${writer}; throw new Error('end')`], {
    stdio: ['ignore', openSync(file, 'w'), 'ignore'],
  });
  return once(child, 'close').then(() => {
    assert.equal(readFileSync(file, 'utf8').trimEnd().split('\n').length, 5000);
    rmSync(folder, { recursive: true });
  });
});

test('an output that takes no more lines neither ends nor holds up the process', async () => {
  const again = `${writer}; setTimeout(() => log.info('later'), 50); setTimeout(() => process.stderr.write('end'), 100);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', again], {
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    timeout: 20_000,
  });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  assert.match(said, /^[\d.]+end$/);
});
