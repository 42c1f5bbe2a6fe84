import assert from 'node:assert/strict';
import { test } from 'node:test';
import { strayVariables } from '../../../src/config/environment.ts';
import { loadConfig } from '../../../src/config/load-config.ts';

function warning(name: string): string | undefined {
  return strayVariables({ [name]: 'secret' })[0];
}

test('a variable that resembles a setting causes a warning that suggests the setting', () => {
  for (const [name, meant] of [
    ['LOOKOUT_mqtt__url', 'LOOKOUT__mqtt__url'],
    ['LOOKOUT_MQTT_URL', 'LOOKOUT__mqtt__url'],
    ['lookout__mqtt__url', 'LOOKOUT__mqtt__url'],
    ['LOOKOUT_DATA_DIR', 'LOOKOUT__data_dir'],
    ['LOOKOUT_MQTT_PASWORD_FILE', 'LOOKOUT__mqtt__password_file'],
    ['LOOKOUT_CAMERAS_FRONT_SOURCE_URL', 'LOOKOUT__cameras__NAME__source__url'],
    ['LOOKOUT_CONFG', 'LOOKOUT_CONFIG'],
  ] as const) {
    assert.ok(warning(name)?.includes(`environment: ${name} is ignored`), name);
    assert.ok(warning(name)?.endsWith(`(did you mean \`${meant}\`?)`), warning(name));
  }
});

test('a variable with two underscores causes a warning even if no setting resembles it', () => {
  assert.match(
    warning('LOOKOUT_foo__qux') ?? '',
    /^environment: LOOKOUT_foo__qux is ignored: expected LOOKOUT__ followed by /,
  );
});

test('a warning never shows a value', () => {
  assert.doesNotMatch(warning('LOOKOUT_MQTT_PASSWORD_FILE') ?? '', /secret/);
});

test('settings and unrelated variables cause no warning', () => {
  for (const name of [
    'LOOKOUT__mqtt__url',
    'LOOKOUT_CONFIG',
    'LOOKOUT_TEST_REQUIRE',
    'LOOKOUTS_MQTT_URL',
    'PATH',
  ])
    assert.equal(warning(name), undefined, name);
});

test('the warnings come with the configuration', () => {
  const { warnings, config } = loadConfig({ env: { LOOKOUT_mqtt__url: 'mqtt://broker' } });
  assert.equal(warnings.length, 1);
  assert.equal(config.mqtt.url, 'embedded');
});
