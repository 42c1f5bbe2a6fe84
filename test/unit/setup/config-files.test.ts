import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import { LookoutError } from '../../../src/errors.ts';
import { checkFiles, outerSpaces } from '../../../src/setup/config-files.ts';
import { tempFolder } from '../../support/daemon.ts';

const folder = tempFolder();

function keep(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const config = (files: { drive: string; password: string }) =>
  configSchema.parse({
    cameras: {
      drive: { source: { kind: 'rtsp', url_file: files.drive } },
      yard: { source: { kind: 'http', url: 'http://cam.lan/' } },
    },
    mqtt: { url: 'mqtt://broker', username: 'garden', password_file: files.password },
  });

test('files that hold what they should are no matter', async () => {
  const drive = keep('drive', 'rtsp://me:geheim@cam.lan/1\n');
  assert.deepEqual(await checkFiles(config({ drive, password: keep('password', 'geheim\n') })), []);
});

test('every file that holds something else is named with its setting, and nothing of it is repeated', async () => {
  const drive = keep('drive', 'rtsp://me:2024/geheim@cam.lan/1\n');
  const password = keep('password', 'geheim\n2024\n');
  await assert.rejects(checkFiles(config({ drive, password })), (error: unknown) => {
    assert.ok(error instanceof LookoutError);
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, /: 2 problems\n/);
    assert.match(error.message, /cameras\.drive\.source\.url_file \S+drive: found an @ behind the \/.*%2F/);
    assert.match(error.message, /mqtt\.password_file: \S+password: it has 2 lines/);
    assert.doesNotMatch(error.message, /geheim|2024/);
    return true;
  });
});

test('files that cannot be opened are told, and are no fault: the service may run as another user', async () => {
  mkdirSync(join(folder, 'a-folder'));
  const unread = await checkFiles(
    config({ drive: join(folder, 'absent'), password: join(folder, 'a-folder') }),
  );
  assert.equal(unread.length, 2);
  assert.match(unread[0] ?? '', /^cameras\.drive\.source\.url_file \S+absent cannot be read: ENOENT/);
  assert.match(unread[1] ?? '', /^mqtt\.password_file: cannot read \S+a-folder: EISDIR/);
});

test('white space around what a file holds is told with its setting, and nothing of it is repeated', async () => {
  for (const [before, behind] of [
    ['', ' \n'],
    ['', '\t'],
    ['', '\u00a0\r\n'],
    [' ', '\n'],
    ['\ufeff ', ''],
  ] as const) {
    const drive = keep('drive', `${before}rtsp://me:geheim@cam.lan/1${behind}`);
    const password = keep('password', `${before}geheim${behind}`);
    const side = behind.trim() === '' && before.trim() === before ? 'behind' : 'before';
    const warnings = await outerSpaces(config({ drive, password }));
    assert.deepEqual(warnings, [
      `mqtt.password_file: ${password} has white space ${side} its text; Lookout takes it as a part of it: remove it if it is not meant`,
      `cameras.drive.source.url_file: ${drive} has white space ${side} its text; Lookout leaves it out of the address`,
    ]);
  }
});

test('the end of the line, a pipe and a file that is not there are no white space', async () => {
  const drive = keep('drive', 'rtsp://me:geheim@cam.lan/1\r\n\r\n');
  assert.deepEqual(await outerSpaces(config({ drive, password: keep('password', 'ge heim\n') })), []);
  assert.deepEqual(await outerSpaces(config({ drive: join(folder, 'absent'), password: folder })), []);
});
