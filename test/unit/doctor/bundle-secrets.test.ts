import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import { redactor } from '../../../src/doctor/bundle-secrets.ts';
import { tempFolder } from '../../support/daemon.ts';

const folder = tempFolder();

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('secrets of the configuration, its files and the environment are removed wherever they occur', async () => {
  const config = configSchema.parse({
    cameras: {
      street: { source: { kind: 'rtsp', url_file: file('street', 'rtsp://ann:P%40ss-one@cam/live\n') } },
      yard: { source: { kind: 'http', url: 'http://bob:Pass-two@cam/video?key=Pass-three&size=2' } },
      hall: { source: { kind: 'gstreamer', pipeline: ['rtspsrc', 'user-pw=Pass-four', '!', 'fdsink'] } },
    },
    mqtt: {
      url: 'mqtts://broker',
      username: 'User-five',
      password_file: file('password', 'Pass-six\n'),
      key_file: file('key', '-----BEGIN PRIVATE KEY-----\nPass-seven\n-----END PRIVATE KEY-----\n'),
    },
  });
  const env = { HTTPS_PROXY: 'http://me:Pass-eight@proxy', API_TOKEN: 'Pass-nine', LANG: 'C' };
  const redact = await redactor(config, env);
  const text = [
    JSON.stringify(config),
    'ann P@ss-one P%40ss-one bob Pass-two Pass-three User-five Pass-six Pass-seven Pass-eight Pass-nine',
    'rtsp://x:Pass-ten@elsewhere/ password=Pass-eleven "token": "Pass-twelve"',
  ].join('\n');
  const clean = redact(text);
  assert.doesNotMatch(clean, /P(a|@|%40)ss-|User-five/);
  assert.match(clean, /rtsp:\/\/\*\*\*@elsewhere/);
  assert.match(clean, /"annotate":false,"quality":85/, 'the rest stays');
  assert.match(clean, /"password_file":"\/\S+password"/);
});

test('a text that is too short to be a secret stays', async () => {
  const config = configSchema.parse({ mqtt: { username: 'e' } });
  const redact = await redactor(config, { SECRET_FLAG: '1' });
  assert.equal(redact('the broker, port 1883'), 'the broker, port 1883');
});
