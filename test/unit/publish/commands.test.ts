import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCommand } from '../../../src/publish/commands.ts';
import { Seeded } from '../../support/random.ts';

const cameras = new Set(['drive', 'porch']);
const read = (setting: string, payload: string | Buffer, camera = 'drive') =>
  readCommand({ cameras, models: ['default', 'birds'] }, { camera, setting }, Buffer.from(payload));

test('exactly valid commands are accepted', () => {
  assert.deepEqual(read('enabled', 'ON'), { camera: 'drive', setting: 'enabled', value: true });
  assert.deepEqual(read('enabled', 'OFF'), { camera: 'drive', setting: 'enabled', value: false });
  assert.deepEqual(read('detect', 'ON', 'porch'), { camera: 'porch', setting: 'detect', value: true });
  assert.deepEqual(read('model', 'birds'), { camera: 'drive', setting: 'model', value: 'birds' });
  assert.deepEqual(read('snapshot', 'PRESS'), { camera: 'drive', setting: 'snapshot', value: null });
  assert.deepEqual(read('snapshot', ''), { camera: 'drive', setting: 'snapshot', value: null });
  for (const [text, value] of [
    ['0', 0],
    ['1', 1],
    ['0.65', 0.65],
    ['.5', 0.5],
    ['1.00', 1],
  ] as const) {
    assert.deepEqual(read('threshold', text), { camera: 'drive', setting: 'threshold', value });
  }
});

test('RESET resets a setting, unless a model has that name', () => {
  for (const setting of ['enabled', 'detect', 'threshold', 'model']) {
    for (const payload of ['RESET', 'reset'])
      assert.deepEqual(read(setting, payload), { camera: 'drive', setting, value: null });
    // What clears a retained command must not turn a camera on.
    assert.equal(typeof read(setting, ''), 'string', setting);
  }
  assert.equal(typeof read('snapshot', 'RESET'), 'string');
  const models = { cameras, models: ['default', 'reset'] };
  const address = { camera: 'drive', setting: 'model' };
  assert.deepEqual(readCommand(models, address, Buffer.from('reset')), {
    camera: 'drive',
    setting: 'model',
    value: 'reset',
  });
  assert.deepEqual(readCommand(models, address, Buffer.from('RESET')), {
    camera: 'drive',
    setting: 'model',
    value: null,
  });
});

test('an invalid command is refused with what was expected and found', () => {
  for (const payload of ['', 'on', 'On', 'true', '1', 'ON ', '\nON', '{"state":"ON"}', 'ON\0']) {
    assert.match(String(read('detect', payload)), /^expected ON, OFF or RESET, found "/, payload);
  }
  for (const payload of [
    '',
    ' 0.5',
    '0,5',
    '1.01',
    '-0',
    '-0.5',
    '2',
    '1e-1',
    'NaN',
    '0x1',
    '0.5%',
    'null',
    '1.',
  ]) {
    assert.match(
      String(read('threshold', payload)),
      /^expected a number from 0 to 1, or RESET, found "/,
      payload,
    );
  }
  for (const payload of ['', 'bird', 'Birds', 'birds ', '__proto__']) {
    assert.match(
      String(read('model', payload)),
      /^expected one of the models default, birds, or RESET, found "/,
    );
  }
  assert.match(String(read('snapshot', 'ON')), /^expected PRESS or nothing, found "ON"$/);
});

test('an unknown camera or setting is refused with a list of the known ones', () => {
  assert.match(
    String(read('detect', 'ON', 'attic')),
    /^expected one of the cameras drive, porch, found "attic"$/,
  );
  assert.match(
    String(read('reboot', 'ON')),
    /^expected one of the settings enabled, detect, .*found "reboot"$/,
  );
  assert.equal(typeof read('__proto__', 'ON'), 'string');
});

test('a long payload is neither read nor repeated in the log', () => {
  const answer = String(read('detect', 'x'.repeat(100_000)));
  assert.equal(answer, 'expected ON, OFF or RESET, found 100000 bytes');
  assert.ok(String(read('detect', 'ON', 'x'.repeat(60_000))).length < 200);
});

test('random bytes are never accepted as a command', () => {
  const random = new Seeded(7);
  for (let i = 0; i < 2000; i++) {
    const bytes = Buffer.from(Array.from({ length: random.int(1, 12) }, () => random.int(0, 255)));
    const text = bytes.toString('latin1');
    if (/^(ON|OFF|PRESS|[01]|0?\.\d+|1\.0+)$/.test(text)) continue;
    for (const setting of ['enabled', 'detect', 'threshold', 'model', 'snapshot']) {
      assert.equal(typeof read(setting, bytes), 'string', `${setting} ${JSON.stringify(text)}`);
    }
  }
});
