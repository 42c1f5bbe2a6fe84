import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load-config.ts';
import { CONFIG_VERSION, type Step } from '../../../src/config/upgrade-config.ts';
import { folder } from '../../support/store.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');
const versions = Array.from({ length: CONFIG_VERSION }, (_, index) => index + 1);

function write(text: string): string {
  const file = join(folder(), 'lookout.yaml');
  writeFileSync(file, text);
  return file;
}

/** As if `health_interval` had been called `health_every`, in minutes, in the first version. */
const step: Step = (settings) => {
  const { health_every: minutes, ...rest } = settings;
  if (minutes === undefined) return [];
  for (const key of Object.keys(settings)) delete settings[key];
  Object.assign(settings, rest, { health_interval: 60 * Number(minutes) });
  return ['`health_every` is now `health_interval`, in seconds'];
};

test('there is a fixture for every version of the configuration', () => {
  assert.deepEqual(
    readdirSync(FIXTURES).filter((name) => name.startsWith('config-')),
    versions.map((version) => `config-${version}.yaml`),
  );
});

for (const version of versions) {
  test(`a configuration of version ${version} with every setting loads`, () => {
    const file = join(FIXTURES, `config-${version}.yaml`);
    const before = readFileSync(file, 'utf8');
    const { config, warnings } = loadConfig({ file, env: {} });
    assert.deepEqual(Object.keys(config.cameras), ['door', 'yard', 'street', 'shed', 'gate']);
    assert.equal(config.mqtt.url, 'mqtts://broker.lan:8883');
    assert.deepEqual([config.store.keep_events, config.store.max_writes_per_day], [60, 150]);
    if (version === CONFIG_VERSION) {
      assert.deepEqual(warnings, []);
      const written = parse(before) as Record<string, object>;
      assert.partialDeepStrictEqual(config.labels, written.labels!);
    }
    assert.equal(readFileSync(file, 'utf8'), before, 'it stays unchanged');
  });
}

test('a file of an earlier version is upgraded in memory, with a warning that says what to change in it', () => {
  const file = write('health_every: 2\n');
  const { config, warnings } = loadConfig({ file, env: {}, steps: [step] });
  assert.equal(config.health_interval, 120);
  assert.deepEqual(warnings, [
    `${file} has version 1 of the settings: \`health_every\` is now \`health_interval\`, in seconds`,
  ]);
  assert.equal(readFileSync(file, 'utf8'), 'health_every: 2\n');
});

test('the environment overrides settings by their current names', () => {
  const file = write('version: 1\nhealth_every: 2\n');
  const env = { LOOKOUT__health_interval: '7' };
  assert.equal(loadConfig({ file, env, steps: [step] }).config.health_interval, 7);
});

test('no step is applied to a file of the current version', () => {
  const nothing: Step = () => assert.fail('the step was applied');
  const file = write(`version: ${CONFIG_VERSION}\nhealth_interval: 5\n`);
  const steps = Array.from({ length: CONFIG_VERSION - 1 }, () => nothing);
  assert.equal(loadConfig({ file, env: {}, steps }).config.health_interval, 5);
});

test('a file of a later version is rejected and stays unchanged', () => {
  const text = `version: ${CONFIG_VERSION + 1}\nhealth_weather: sunny\n`;
  const file = write(text);
  assert.throws(() => loadConfig({ file, env: {} }), {
    code: 'CONFIG_TOO_NEW',
    exitCode: 78,
    message: new RegExp(
      `version ${CONFIG_VERSION + 1} of the settings, and this program supports versions up to ${CONFIG_VERSION}`,
    ),
    hint: /Install the newer Lookout again/,
  });
  assert.equal(readFileSync(file, 'utf8'), text);
});

test('a version that is not valid is a problem of the configuration', () => {
  for (const version of ['new', '0', '1.5', '[1]']) {
    const file = write(`version: ${version}\n`);
    assert.throws(() => loadConfig({ file, env: {} }), {
      code: 'CONFIG_INVALID',
      message: /version: expected/,
    });
  }
});
