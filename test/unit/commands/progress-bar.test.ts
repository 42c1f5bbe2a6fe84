import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showProgress } from '../../../src/commands/progress-bar.ts';

function screen(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, written, write: (text: string) => written.push(text) };
}

test('a terminal shows a bar, redrawn at most ten times a second', () => {
  const terminal = screen(true);
  let now = 0;
  const { onProgress } = showProgress(terminal, () => now);
  onProgress(0, 3_000_000);
  onProgress(100, 3_000_000);
  now = 150;
  onProgress(1_500_000, 3_000_000);
  onProgress(3_000_000, 3_000_000);
  assert.deepEqual(terminal.written, [
    `\r[${' '.repeat(30)}] 0 %, 0.0 of 3.0 MB\x1b[K`,
    `\r[${'#'.repeat(15)}${' '.repeat(15)}] 50 %, 1.5 of 3.0 MB\x1b[K`,
    `\r[${'#'.repeat(30)}] 100 %, 3.0 of 3.0 MB\x1b[K`,
    '\n',
  ]);
});

test('output that is not a terminal gets a plain line for each quarter', () => {
  const file = screen(false);
  const { onProgress, onRetry, end } = showProgress(file);
  for (let received = 0; received <= 100_000; received += 1000) onProgress(received, 100_000);
  onRetry('the connection broke', 1500);
  end();
  assert.deepEqual(file.written, [
    'downloading: 0 %, 0.0 of 0.1 MB\n',
    'downloading: 25 %, 0.0 of 0.1 MB\n',
    'downloading: 50 %, 0.1 of 0.1 MB\n',
    'downloading: 75 %, 0.1 of 0.1 MB\n',
    'downloading: 100 %, 0.1 of 0.1 MB\n',
    'the connection broke; retrying in 2 s\n',
  ]);
});

test('a download of unknown size shows the received megabytes', () => {
  const terminal = screen(true);
  const { onProgress, end } = showProgress(terminal, () => 0);
  onProgress(1_200_000, null);
  end();
  assert.deepEqual(terminal.written, ['\r1.2 MB\x1b[K', '\n']);
});
