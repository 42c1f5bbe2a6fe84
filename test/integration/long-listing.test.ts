import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openForWriting } from '../../src/store/database.ts';
import { tempFolder } from '../support/daemon.ts';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const ROWS = 300_000;
const folder = tempFolder();

/** Runs a command and reads its output, all of it or until a number of bytes has come. */
async function run(args: string[], bytes = Number.POSITIVE_INFINITY) {
  const child = spawn(process.execPath, [CLI, ...args, '--data-dir', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [read, lines, peakMb, stderr] = [0, 0, 0, ''];
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdout.on('data', (chunk: Buffer) => {
    read += chunk.length;
    for (const byte of chunk) if (byte === 10) lines++;
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
    if (peak) peakMb = Number(peak) / 1024;
    if (read >= bytes) child.stdout.destroy();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, lines, peakMb, stderr };
}

describe('a long log', () => {
  before(() => {
    const db = openForWriting(join(folder, 'lookout.db'));
    db.pragma('synchronous = OFF');
    db.exec(`
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
      INSERT INTO events (id, camera, label, score, top_score, box_x, box_y, box_w, box_h, started_at, ended_at, model,
        snapshot, reason, changed)
      SELECT 'id-' || i, 'driveway', 'car', 0.9, 0.95, 0.1, 0.2, 0.3, 0.4, 1700000000000 + i * 1000,
        1700000000500 + i * 1000, 'model', 'driveway/2026-01-01/' || i || '.jpg',
        '{"scores":[0.91,0.92,0.93],"threshold":0.6,"hits":3,"window":5,"gate":"motion"}', i FROM n`);
    db.close();
  });

  for (const [command, lines] of [
    ['events --json --since 2001-01-01', ROWS],
    ['events --limit 1000000', ROWS],
    ['export --format csv', ROWS + 1],
    ['export --format json', ROWS + 2],
  ] as const) {
    it(`is written by \`${command}\` in less than 150 MB`, async () => {
      const result = await run(command.split(' '));
      assert.deepEqual([result.code, result.stderr, result.lines], [0, '', lines]);
      assert.ok(result.peakMb > 30 && result.peakMb < 150, `${result.peakMb} MB`);
    });

    it(`stops being written by \`${command}\` when nobody reads on`, async () => {
      const result = await run(command.split(' '), 1000);
      assert.deepEqual([result.code, result.stderr], [0, '']);
    });
  }
});
