import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startBroker } from '../support/broker.ts';
import { lookout } from '../support/cli.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { Recorder } from '../support/recorder.ts';
import { requires } from '../support/requires.ts';
import { until } from '../support/until.ts';

/** Something that cannot be anywhere by chance. */
const secret = (name: string) => `${name}-${randomBytes(8).toString('hex')}`;

/** A camera that takes connections and says nothing, so that ffmpeg goes on waiting. Counts its visitors. */
async function silentCamera(t: TestContext) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).resume());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { host: `127.0.0.1:${address.port}`, sockets };
}

/** Command lines of all processes of this machine but the test's own. */
function commandLines(): string {
  const lines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    });
  return lines.join('\n');
}

test('no secret reaches the log, MQTT, the list of processes, the doctor or its archive', {
  skip: requires('ffmpeg', 'tar'),
}, async (t) => {
  const planted = {
    mqtt: secret('mqtt'),
    rtspUser: secret('user'),
    rtsp: secret('rtsp'),
    http: secret('http'),
    token: secret('token'),
    path: randomBytes(8).toString('hex'),
    query: randomBytes(8).toString('hex'),
    environment: secret('environment'),
    stray: secret('stray'),
    wrong: secret('wrong'),
  };
  const broker = await startBroker({ users: { garden: planted.mqtt, watcher: 'watcher' } });
  t.after(() => broker.remove());
  const recorder = await Recorder.connect(broker.url, '#', { username: 'watcher', password: 'watcher' });
  t.after(() => recorder.end());
  const [street, yard] = await Promise.all([silentCamera(t), silentCamera(t)]);
  const folder = tempFolder();
  const keep = (name: string, content: string) => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return name;
  };
  const cameras = {
    drive: { source: { kind: 'demo' } },
    street: {
      source: {
        kind: 'rtsp',
        url_file: keep(
          'street',
          `rtsp://${planted.rtspUser}:${planted.rtsp}@${street.host}/${planted.path}?enableSrtp`,
        ),
      },
    },
    yard: {
      source: { kind: 'http', url: `http://me:${planted.http}@${yard.host}/video?token=${planted.token}` },
    },
    // Nobody listens there, and it is said again and again.
    gate: { source: { kind: 'http', url: `http://127.0.0.1:9/${planted.path}/video?k=${planted.query}` } },
    door: {
      source: {
        kind: 'rtsp',
        url_file: keep('door', `rtsp://127.0.0.1:9/a/${planted.path}?${planted.query}`),
      },
    },
  };
  const config = {
    device: 'dut',
    log: { level: 'trace' },
    health_interval: 1,
    cameras,
    mqtt: { ...broker.mqtt, username: 'garden', password_file: keep('password', `${planted.mqtt}\n`) },
  };
  const env = {
    LOOKOUT__cameras__yard__source__url: `http://me:${planted.environment}@${yard.host}/video?token=${planted.token}`,
    LOOKOUT_MQTT_PASSWORD: planted.stray,
  };
  const daemon = new DaemonProcess(config, folder, env);
  try {
    await until('both cameras to be called', () => street.sockets.size > 0 && yard.sockets.size > 0);
    const running = commandLines();
    assert.match(running, /ffmpeg/, 'the camera programs are in the list of processes');
    await until('health', () => recorder.texts('lookout/dut/health').length > 1);
    const archive = join(folder, 'support.tar.gz');
    const file = join(folder, 'lookout.yaml');
    await until('both faults', () =>
      ['gate', 'door'].every((name) => daemon.log.some(({ camera, code }) => camera === name && code)),
    );
    const checked = await lookout(['check-config', '--config', file], { env });
    const doctor = await lookout(['doctor', '--config', file, '--bundle', archive, '--json'], { env });
    // A password that the broker refuses is a fault of which much is said.
    writeFileSync(join(folder, 'password'), planted.wrong);
    const refused = await lookout(['doctor', '--config', file], { env });
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stdout, /^fail {2}broker .*MQTT_REFUSED/m);
    await daemon.stop();

    const names = execFileSync('tar', ['-tzf', archive], { encoding: 'utf8' }).trim().split('\n');
    for (const name of ['doctor.txt', 'config.yaml', 'environment.txt', 'health.json', 'log.txt'])
      assert.ok(names.includes(`support/${name}`), name);
    const content = execFileSync('tar', ['-xzOf', archive], { encoding: 'utf8', maxBuffer: 1 << 26 });
    assert.match(content, /LOOKOUT_MQTT_PASSWORD/, 'names of variables are told');
    assert.match(
      content,
      new RegExp(`http://\\*\\*\\*@${yard.host}/…`),
      'and addresses, without what is secret',
    );
    const places = {
      log: `${JSON.stringify(daemon.log)}${daemon.stderr.join('\n')}`,
      mqtt: recorder.messages
        .map(({ topic, payload }) => `${topic} ${payload.toString('latin1')}`)
        .join('\n'),
      processes: running,
      commands: [doctor, refused, checked].map(({ stdout, stderr }) => stdout + stderr).join('\n'),
      archive: content,
    };
    for (const [place, text] of Object.entries(places)) {
      assert.ok(text.length > 100, `there is something in ${place}`);
      for (const [name, value] of Object.entries(planted))
        assert.ok(!text.includes(value), `the secret ${name} is in ${place}`);
    }
  } finally {
    daemon.child.kill('SIGKILL');
  }
});
