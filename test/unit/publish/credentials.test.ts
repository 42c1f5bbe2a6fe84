import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configSchema, type MqttConfig } from '../../../src/config/schema.ts';
import { LookoutError } from '../../../src/errors.ts';
import { readCredentials } from '../../../src/publish/credentials.ts';
import { issue, makeCa } from '../../support/certificates.ts';
import { tempFolder } from '../../support/daemon.ts';

const folder = tempFolder();
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const config = (mqtt: Partial<MqttConfig>) => configSchema.parse({ mqtt }).mqtt;

async function failure(mqtt: Partial<MqttConfig>): Promise<LookoutError> {
  const error = await readCredentials(config(mqtt)).then(
    () => assert.fail('expected an error'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof LookoutError);
  assert.equal(error.exitCode, 78);
  assert.ok(error.hint);
  return error;
}

test('without files there is nothing to read', async () => {
  assert.deepEqual(await readCredentials(config({})), {});
  assert.deepEqual(await readCredentials(config({ username: 'garden' })), { username: 'garden' });
});

test('one line break at the end is not part of a user name or password, anything else is', async () => {
  const username_file = file('user', 'garden\r\n');
  const secrets = {
    ...{ 'p w\n': 'p w', 'pw\r\n': 'pw', ' pw ': ' pw ', 'pässwörd\n': 'pässwörd' },
    ...{ '\ufeffpw\n': 'pw', '#&?/@:%': '#&?/@:%' },
  };
  for (const [text, password] of Object.entries(secrets)) {
    const read = await readCredentials(config({ username_file, password_file: file('password', text) }));
    assert.deepEqual(read, { username: 'garden', password });
  }
});

test('a password in UTF-16 is read; one of several lines, in another encoding or with NUL bytes is refused', async () => {
  const username = 'garden';
  const utf16 = file('password', '');
  writeFileSync(utf16, Buffer.from('\ufeffpässwörd\r\n', 'utf16le'));
  assert.equal((await readCredentials(config({ username, password_file: utf16 }))).password, 'pässwörd');
  for (const content of ['hush\n\n', 'hush\nhush2\n', 'hu\0sh', Buffer.from('hüsh', 'latin1')]) {
    writeFileSync(utf16, content);
    const error = await failure({ username, password_file: utf16 });
    assert.equal(error.code, 'MQTT_CREDENTIALS_INVALID');
    assert.match(error.message, /^mqtt\.password_file: \S+password: it (has 2 lines|is not UTF-8|holds NUL)/);
    assert.doesNotMatch(`${error.message} ${error.hint}`, /hush|h.sh/);
  }
});

test('a file that cannot be read is named with its setting', async () => {
  const error = await failure({ username: 'a', password_file: join(folder, 'missing') });
  assert.equal(error.code, 'MQTT_CREDENTIALS_UNREADABLE');
  assert.match(error.message, /^mqtt\.password_file: cannot read .*missing: ENOENT/);
});

test('an empty password, a password without a user name and a file that is not a certificate are refused', async () => {
  const password_file = file('secret', 'hush');
  for (const [mqtt, message] of [
    [
      { username: 'a', password_file: file('empty', '\n') },
      /^mqtt\.password_file: expected a password, found an empty file/,
    ],
    [{ username_file: file('empty', '') }, /^mqtt\.username_file: expected a user name, found an empty file/],
    [{ password_file }, /^mqtt\.password_file: expected a user name for the password/],
    [
      { url: 'mqtts://b', ca_file: password_file },
      /^mqtt\.ca_file: .*secret is not a certificate in PEM format/,
    ],
    [{ url: 'mqtt://b', ca_file: password_file }, /^mqtt\.ca_file: expected an encrypted broker URL/],
  ] as const) {
    const error = await failure(mqtt);
    assert.equal(error.code, 'MQTT_CREDENTIALS_INVALID');
    assert.match(error.message, message);
    assert.doesNotMatch(`${error.message} ${error.hint}`, /hush/);
  }
});

test('a client certificate is accepted with its own key only', async () => {
  const ca = makeCa(folder, 'ca');
  const one = issue(folder, ca, 'one', 'DNS:one');
  const two = issue(folder, ca, 'two', 'DNS:two');
  const tls = { url: 'mqtts://broker', ca_file: ca.cert, cert_file: one.cert };
  const read = await readCredentials(config({ ...tls, key_file: one.key }));
  assert.deepEqual(Object.keys(read).sort(), ['ca', 'cert', 'key']);
  const error = await failure({ ...tls, key_file: two.key });
  assert.equal(error.code, 'MQTT_CREDENTIALS_INVALID');
  assert.match(
    error.message,
    /^mqtt\.key_file: .* is not the private key of the certificate in mqtt\.cert_file/,
  );
  assert.doesNotMatch(error.message, /PRIVATE KEY/);
});
