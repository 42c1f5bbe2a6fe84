import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load-config.ts';
import { changeConfig, changeText } from '../../../src/tune/config-file.ts';
import { tempFolder } from '../../support/daemon.ts';

const TEXT = `# My garden.
cameras:
  # the one at the gate
  garden:
    source: { kind: demo, width: 640, height: 480, fps: 10 } # nice

model:
  # trained in May
  file: builtin
  threads: 4 # all of them

mqtt:
  url: embedded
`;
const SETTINGS = [
  { path: ['model', 'threads'], value: 2 },
  { path: ['model', 'sessions'], value: 2 },
  { path: ['cameras', 'garden', 'source', 'width'], value: 320 },
  { path: ['thermal', 'limit'], value: 70 },
];

test('settings are changed and added; comments and everything else are kept', () => {
  assert.equal(
    changeText(TEXT, SETTINGS),
    TEXT.replace('threads: 4 # all of them', 'threads: 2 # all of them\n  sessions: 2')
      .replace('width: 640', 'width: 320')
      .concat('thermal:\n  limit: 70\n'),
  );
});

test('a group that is empty is filled, and an empty file too', () => {
  assert.equal(changeText('model:\n', [SETTINGS[0]!]), 'model:\n  threads: 2\n');
  assert.equal(changeText('', [SETTINGS[0]!]), 'model:\n  threads: 2\n');
});

test('the file keeps its permissions and has the new settings', async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  writeFileSync(file, TEXT);
  chmodSync(file, 0o640);
  await changeConfig(file, SETTINGS);
  assert.equal(statSync(file).mode & 0o777, 0o640);
  const { config } = loadConfig({ file, env: {} });
  assert.deepEqual([config.model.threads, config.model.sessions, config.thermal.limit], [2, 2, 70]);
  assert.deepEqual(readdirSync(folder), ['lookout.yaml']);
});

test('a change that is invalid or cannot be written leaves the file unchanged', async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  const aliased = 'models: { fast: &fast { threads: 1 } }\nmodel: *fast\n';
  for (const [text, settings, code] of [
    [TEXT, [{ path: ['model', 'threads'], value: 1000 }], 'CONFIG_INVALID'],
    [aliased, SETTINGS.slice(0, 1), 'CONFIG_UNWRITABLE'],
  ] as const) {
    writeFileSync(file, text);
    await assert.rejects(changeConfig(file, settings), { code });
    assert.equal(readFileSync(file, 'utf8'), text);
    assert.deepEqual(readdirSync(folder), ['lookout.yaml']);
  }
  await assert.rejects(changeConfig(join(folder, 'missing.yaml'), SETTINGS), { code: 'CONFIG_UNWRITABLE' });
});
