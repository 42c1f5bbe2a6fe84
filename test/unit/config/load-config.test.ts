import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../../../src/config/load-config.ts';
import { LookoutError } from '../../../src/errors.ts';
import { tempFolder } from '../../support/folder.ts';

const folder = tempFolder();

function file(yaml: string): string {
  const path = join(folder, 'lookout.yaml');
  writeFileSync(path, yaml);
  return path;
}

function load(yaml: string, env: NodeJS.ProcessEnv = {}) {
  return loadConfig({ file: file(yaml), env });
}

function problemsOf(yaml: string, env: NodeJS.ProcessEnv = {}): string[] {
  try {
    load(yaml, env);
  } catch (error) {
    assert.ok(error instanceof LookoutError);
    assert.equal(error.exitCode, 78);
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
  assert.fail('the configuration was accepted');
}

describe('loadConfig', () => {
  it('uses a demo camera, the built-in model and the embedded broker without a file', () => {
    const { config, file } = loadConfig({ env: {} });
    assert.equal(file, null);
    assert.deepEqual(Object.keys(config.cameras), ['demo']);
    assert.equal(config.cameras.demo?.source.kind, 'demo');
    assert.equal(config.model.file, 'builtin');
    assert.equal(config.mqtt.url, 'embedded');
    assert.equal(config.store.file, join(process.cwd(), 'data', 'lookout.db'));
  });

  it('lists every problem of a file with its line, in order', () => {
    const problems = problemsOf(`
devise: x
cameras:
  Front Door:
    source: { kind: libcam }
  side:
    source: { kind: rtsp, url: "http://x", fsp: 3 }
    rotate: 45
    labels: { dog: { on: 2, hits: 9 } }
  back:
    source: { kind: demo, width: 641 }
    classify: zone
    zones: { "a/b": { polygon: [[0, 0], [1, 1], [0.5, 0.5]] } }
labels:
  cat: { on: 0.3, off: 0.5, hits: 7 }
`);
    assert.deepEqual(problems, [
      'line 2: devise: unknown setting (did you mean `device`?)',
      'line 4: cameras.Front Door: expected a name of lower-case letters, digits, - and _, at most 40, starting with a letter or digit, found "Front Door"',
      'line 5: cameras.Front Door.source.kind: expected one of libcamera, v4l2, rtsp, http, gstreamer, replay, demo, auto, found "libcam" (did you mean `libcamera`?)',
      'line 7: cameras.side.source.fsp: unknown setting (did you mean `fps`?)',
      'line 7: cameras.side.source.url: expected an address that starts with rtsp:// or rtsps://, found another. Write the kind of the address, :// and the host.',
      'line 8: cameras.side.rotate: expected one of 0, 90, 180, 270, found 45',
      'line 9: cameras.side.labels.dog.on: expected at most 1, found 2',
      'line 9: cameras.side.labels.dog.hits: expected at most `window` (5), found 9',
      'line 11: cameras.back.source.width: expected a multiple of 2, found 641',
      'line 12: cameras.back.classify: expected one of frame, motion, zones, found "zone" (did you mean `zones`?)',
      'line 13: cameras.back.zones.a/b: expected a name of lower-case letters, digits, - and _, at most 40, starting with a letter or digit, found "a/b"',
      'line 13: cameras.back.zones.a/b.polygon: expected corners that enclose part of the frame, found a line or a point',
      'line 15: labels.cat.off: expected at most `on` (0.3), found 0.5',
      'line 15: labels.cat.hits: expected at most `window` (5), found 7',
    ]);
  });

  it('never shows a value that may contain a password', () => {
    const problems = problemsOf(`
mqtt: { url: "mqtt:/me:hunter2@broker", password: hunter2, username: [hunter2] }
cameras:
  a: { source: { kind: rtsp, url: "rtps://me:hunter2@cam" } }
`);
    assert.ok(problems.length >= 4, problems.join('\n'));
    assert.ok(!problems.join('\n').includes('hunter2'));
  });

  it('explains what is wrong with a URL and how to write it, without showing any part of it', () => {
    const camera = (source: string) => problemsOf(`cameras: { a: { source: { ${source} } } }`).join();
    const broker = (url: string) => problemsOf(JSON.stringify({ mqtt: { url } })).join();
    for (const [problem, expected] of [
      [
        camera('kind: rtsp, url: "rtsp://admin:2024/geheim@cam/1"'),
        /source\.url: found an @ behind the \/.*%2F/,
      ],
      [
        camera('kind: http, url: "http://admin:2024#geheim@cam/1"'),
        /source\.url: found an @ behind the #.*%23/,
      ],
      [camera('kind: http, url: "https://::1/geheim"'), /source\.url: .*more than one colon.*\[::1\]/],
      [
        camera('kind: gstreamer, pipeline: [rtspsrc, "location=rtsp://admin:2024?geheim@cam/1"]'),
        /pipeline\.1: found an @ behind the \?.*%3F/,
      ],
      [camera('kind: gstreamer, pipeline: "rtspsrc location=rtsp://a:geheim@cam"'), /expected a list/],
      [broker('mqtt://::1:1883'), /mqtt\.url: .*more than one colon/],
      [broker('mqtt://[fe80::1%25eth0]:1883'), /mqtt\.url: .*without a zone/],
      [broker('ws://broker.lan:99999'), /mqtt\.url: .*a port from 1 to 65535/],
      [broker('mqtt:// broker.lan'), /mqtt\.url: .*a space/],
      [broker('wss://u:geheim#1@broker.lan'), /mqtt\.url: .*without user and password/],
      [broker('mqtt://broker.lan/geheim'), /mqtt\.url: .*nothing behind host and port/],
      [broker('tcp://broker.lan'), /mqtt\.url: expected `embedded`, or mqtt:/],
      [problemsOf('mqtt: { embedded_host: "[::1]" }').join(), /mqtt\.embedded_host: .*without brackets/],
      [problemsOf('', { LOOKOUT__mqtt__url: 'mqtt://broker:0' }).join(), /mqtt\.url: .*a port from 1/],
    ] as const) {
      assert.match(problem, expected);
      assert.doesNotMatch(problem, /geheim|2024/);
    }
  });

  it('rejects a user name or password in the broker URL', () => {
    assert.match(
      problemsOf('mqtt: { url: "mqtt://me:secret@broker" }').join(),
      /mqtt.url: expected an address without/,
    );
  });

  it('requires exactly one of url and url_file', () => {
    const both = 'cameras: { a: { source: { kind: http, url: "http://x/", url_file: u } } }';
    assert.match(problemsOf(both).join(), /found both/);
    assert.match(problemsOf('cameras: { a: { source: { kind: http } } }').join(), /found none/);
  });

  it('requires at least one camera', () => {
    assert.match(problemsOf('cameras: {}').join(), /cameras: expected at least one camera/);
  });

  it('reports the line where a file is not valid YAML', () => {
    assert.match(problemsOf('cameras: [1').join(), /line 1|line 2/);
    assert.throws(() => load('just text'), /expected settings as `key: value`, found string/);
  });

  it('reads a file in UTF-16 or with a byte order mark, and rejects one that is not text', () => {
    const path = file('');
    for (const content of [
      Buffer.from('\ufeffdevice: hut\r\n'),
      Buffer.from('\ufeffdevice: hut\r\n', 'utf16le'),
      Buffer.from('device: hut\r\n', 'utf16le'),
    ]) {
      writeFileSync(path, content);
      assert.equal(loadConfig({ file: path, env: {} }).config.device, 'hut');
    }
    for (const content of [Buffer.from('device: hütte', 'latin1'), 'device: "a\0"']) {
      writeFileSync(path, content);
      assert.throws(() => loadConfig({ file: path, env: {} }), {
        code: 'CONFIG_UNREADABLE',
        message: /cannot read config file .*: it (is not UTF-8|holds NUL)/,
      });
    }
  });

  it('names a file that cannot be read', () => {
    assert.throws(() => loadConfig({ file: join(folder, 'absent.yaml'), env: {} }), {
      code: 'CONFIG_UNREADABLE',
      message: /cannot read config file .*absent\.yaml: ENOENT/,
    });
  });

  it('uses the defaults for an empty file', () => {
    assert.deepEqual(Object.keys(load('').config.cameras), ['demo']);
  });

  it('lets the environment override single settings', () => {
    const { config } = load('mqtt: { base: here }', {
      LOOKOUT__mqtt__url: 'mqtt://broker:1883',
      LOOKOUT__mqtt__version: '4',
      LOOKOUT__cameras__door__source: '{ kind: demo, fps: 2 }',
    });
    assert.equal(config.mqtt.url, 'mqtt://broker:1883');
    assert.equal(config.mqtt.base, 'here');
    assert.equal(config.mqtt.version, 4);
    assert.equal(config.cameras.door?.source.kind, 'demo');
  });

  it('checks settings from the environment like those of the file', () => {
    assert.match(
      problemsOf('', { LOOKOUT__mqtt__vresion: '4' }).join(),
      /mqtt.vresion: unknown setting \(did you mean `version`\?\)/,
    );
  });

  it('reads a variable as text where the setting is text, whatever the value looks like', () => {
    for (const text of [
      '12345',
      'true',
      '#admin',
      '007',
      '',
      'null',
      '1e3',
      'a: b',
      '[x',
      '"quoted"',
      '!x',
    ]) {
      assert.equal(load('', { LOOKOUT__mqtt__username: text }).config.mqtt.username, text);
    }
    assert.equal(load('', { LOOKOUT__device: '007' }).config.device, '007');
    assert.equal(load('', { LOOKOUT__mqtt__discovery: '' }).config.mqtt.discovery, '');
    assert.equal(load('', { LOOKOUT__log__level: 'debug' }).config.log.level, 'debug');
    const { config } = load('', {
      LOOKOUT__cameras__door__source__url: 'http://door.example/4711',
      LOOKOUT__cameras__door__source__kind: 'http',
      LOOKOUT__cameras__door__enabled: 'false',
    });
    const door = config.cameras.door;
    assert.equal(door?.source.kind === 'http' && door.source.url, 'http://door.example/4711');
    assert.equal(door?.enabled, false);
  });

  it('names the variable in problems that come from the environment', () => {
    const of = (variable: string, text: string) => problemsOf('mqtt: { version: 5 }', { [variable]: text });
    assert.deepEqual(of('LOOKOUT__mqtt__version', '3'), [
      'LOOKOUT__mqtt__version: mqtt.version: expected one of 4, 5, found 3',
    ]);
    assert.match(of('LOOKOUT__mqtt__keepalive', '').join(), /^LOOKOUT__mqtt__keepalive: mqtt.keepalive: /);
    assert.match(
      of('LOOKOUT__cameras__door__rotate', '90').join(),
      /^LOOKOUT__cameras__door__rotate: cameras.door.source: /,
    );
    assert.match(of('LOOKOUT__groups', '{ a: !secret b }').join(), /^LOOKOUT__groups: .*!secret/);
    assert.match(of('LOOKOUT__groups', '{ a: [').join(), /^LOOKOUT__groups: not valid YAML/);
  });

  it('makes paths absolute from the folder of the file, and those of the store from the data folder', () => {
    const { config } = load(`
data_dir: d
model: { file: m.onnx }
mqtt: { password_file: /etc/pw, ca_file: ca.pem }
cameras: { a: { source: { kind: replay, path: clips } } }
`);
    assert.equal(config.data_dir, join(folder, 'd'));
    assert.equal(config.store.file, join(folder, 'd', 'lookout.db'));
    assert.equal(config.model.file, join(folder, 'm.onnx'));
    assert.equal(config.mqtt.password_file, '/etc/pw');
    assert.equal(config.mqtt.ca_file, join(folder, 'ca.pem'));
    assert.deepEqual(config.cameras.a?.source, {
      kind: 'replay',
      path: join(folder, 'clips'),
      pace: 'real',
      loop: true,
      width: 640,
      height: 480,
      fps: 5,
    });
  });

  it('accepts models by name and rejects names that no model has', () => {
    const { config } = load(`
models: { birds: { file: birds.onnx, labels: birds.txt } }
cameras:
  garden:
    source: { kind: demo }
    model: birds
    zones: { gate: { polygon: [[0, 0], [1, 0], [1, 1]], model: default } }
`);
    assert.equal(config.models.birds?.file, join(folder, 'birds.onnx'));
    assert.equal(config.models.birds?.labels, join(folder, 'birds.txt'));
    assert.equal(config.cameras.garden?.model, 'birds');
    assert.equal(config.cameras.garden?.zones.gate?.model, 'default');

    const problems = problemsOf(`
models: { default: {}, Birds: {} }
cameras:
  garden:
    source: { kind: demo }
    model: bird
    zones: { gate: { polygon: [[0, 0], [1, 0], [1, 1]], model: birdz } }
`).join('\n');
    assert.match(problems, /models\.Birds: expected a name of lower-case/);
    assert.match(problems, /models\.default: expected another name/);
    assert.match(problems, /cameras\.garden\.model: expected one of the models default, .*, found "?bird"?/);
    assert.match(problems, /cameras\.garden\.zones\.gate\.model: expected one of the models .*birdz/);
  });

  it('resolves a credential to the folder of systemd, and keeps its name without one', () => {
    const yaml = 'mqtt: { password_file: "credential:mqtt-password" }';
    const { config } = load(yaml, { CREDENTIALS_DIRECTORY: '/run/credentials/lookout' });
    assert.equal(config.mqtt.password_file, '/run/credentials/lookout/mqtt-password');
    assert.equal(load(yaml).config.mqtt.password_file, 'credential:mqtt-password');
    assert.throws(
      () => load('mqtt: { password_file: "credential:../shadow" }', { CREDENTIALS_DIRECTORY: '/run' }),
      LookoutError,
    );
  });

  it('freezes the configuration', () => {
    const { config } = load('');
    assert.throws(() => {
      config.mqtt.url = 'mqtt://elsewhere';
    }, TypeError);
  });
});

it('labels and groups are compared independently of how their accents were typed', () => {
  const typed = 'Ka\u0308fer';
  const { config } = load(`
labels: { ${typed}: { on: 0.7 } }
groups: { Insekten: [${typed}] }
cameras:
  a: { source: { kind: demo }, labels: { ${typed}: {} }, zones: { z: { polygon: [[0, 0], [1, 0], [1, 1]], labels: [${typed}] } } }
`);
  assert.deepEqual(Object.keys(config.labels), ['Käfer']);
  assert.deepEqual(config.groups, { Insekten: ['Käfer'] });
  assert.deepEqual(Object.keys(config.cameras.a!.labels), ['Käfer']);
  assert.deepEqual(config.cameras.a!.zones.z!.labels, ['Käfer']);
});

describe('proxies of the environment', () => {
  const warnings = (yaml: string, env: NodeJS.ProcessEnv) => load(yaml, env).warnings.join('\n');
  const env = { http_proxy: 'http://me:geheim@proxy:3128', HTTPS_PROXY: '', LANG: 'C' };

  it('cause a warning that shows their names only, where the user could expect them to be used', () => {
    for (const yaml of [
      'cameras: { a: { source: { kind: http, url: "http://cam/" } } }',
      'mqtt: { url: "wss://broker" }',
    ]) {
      assert.match(
        warnings(yaml, env),
        /^environment: http_proxy is ignored: Lookout connects to cameras and the broker directly/,
      );
      assert.doesNotMatch(warnings(yaml, env), /geheim|HTTPS/);
      assert.equal(warnings(yaml, {}), '');
    }
  });

  it('are not mentioned where nothing would use them', () => {
    assert.equal(warnings('', env), '');
    const through = 'cameras: { a: { source: { kind: http, url: "http://cam/", proxy: "http://p:1" } } }';
    assert.equal(warnings(through, env), '');
  });

  it('have a setting, which is checked like every URL', () => {
    const problem = problemsOf(
      'cameras: { a: { source: { kind: http, url: "http://cam/", proxy: "http://me:2024/geheim@p" } } }',
    ).join();
    assert.match(problem, /source\.proxy: found an @ behind the \//);
    assert.doesNotMatch(problem, /geheim|2024/);
  });
});
