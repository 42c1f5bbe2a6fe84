import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as settle } from 'node:timers/promises';
import type { LoadedConfig } from '../../../src/config/load-config.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { CameraModels } from '../../../src/decide/decider.ts';
import { LookoutError } from '../../../src/errors.ts';
import type { SettingCommand, SettingState } from '../../../src/publish/commands.ts';
import { Reloader } from '../../../src/setup/reloader.ts';
import { type Resolved, resolveCameras } from '../../../src/setup/resolved.ts';
import { FakeLog } from '../../fakes/log.ts';
import { resolvedModel } from '../../fakes/resolved.ts';

const models = new Map([
  ['default', resolvedModel('default')],
  ['birds', resolvedModel('birds', { labels: ['jay'] })],
]);

function loadedFrom(changes: object = {}): LoadedConfig {
  const raw = { models: { birds: {} }, cameras: { gate: { source: { kind: 'demo' } } }, ...changes };
  return { config: { ...configSchema.parse(raw), device: 'here' }, file: null, baseDir: '', warnings: [] };
}

const resolve = ({ config }: Pick<LoadedConfig, 'config'>): Resolved => ({
  models,
  cameras: resolveCameras(models, config.cameras),
});

/** A reloader of one camera, `gate`, with fakes around it that record what it does. */
function bench({ chosen = new Map<string, string>() } = {}) {
  const log = new FakeLog();
  const loaded = loadedFrom();
  const seen = {
    /** Model of the camera after each swap. */
    swaps: [] as string[],
    used: [] as CameraModels[],
    chosen: [] as SettingCommand[],
    confirmed: [] as SettingState[],
    published: [] as SettingState[],
    labels: [] as string[][],
    errors: [] as (string | null)[],
    followed: 0,
    applied: 0,
    /** Makes the next swaps fail. */
    fault: null as Error | null,
    /** Swaps wait for it. */
    gate: Promise.resolve(),
  };
  const reloader = new Reloader({
    loaded,
    resolved: resolve(loaded),
    cameras: new Map([
      [
        'gate',
        {
          setModels: (used) => seen.used.push(used),
          publishLabels: () => {},
          applySettings: async () => void seen.applied++,
        },
      ],
    ]),
    vision: {
      swap: async ({ uses }, ready) => {
        await seen.gate;
        if (seen.fault) throw seen.fault;
        ready();
        seen.swaps.push(uses.gate!.camera);
      },
    },
    publisher: {
      confirm: (state) => seen.confirmed.push(state),
      setSetting: (state) => seen.published.push(state),
      setCameras: (cameras) => seen.labels.push(...cameras.map(({ labels }) => [...labels])),
    },
    resolver: { resolve: async (next) => resolve(next) },
    choices: {
      current: (() => chosen.get('gate') ?? 'default') as never,
      modelsUnder: () => chosen,
      set: (command) => seen.chosen.push(command),
      follow: () => seen.followed++,
    },
    log: log.logger,
    onChange: (_resolved, error) => seen.errors.push(error),
  });
  return { reloader, seen, log, messages: () => log.lines.map(({ msg }) => msg) };
}

test('a model that was chosen before the restart is used from the start', async () => {
  const { reloader, seen } = bench({ chosen: new Map([['gate', 'birds']]) });
  await reloader.start();
  assert.deepEqual(seen.swaps, ['key of birds']);
  assert.equal(seen.used[0]!.camera.name, 'birds_net');
  assert.deepEqual(seen.published, [{ camera: 'gate', setting: 'model', value: 'birds' }]);
  assert.deepEqual(seen.chosen, []);
});

test('a chosen model that does not load is reset, and the start continues', async () => {
  const { reloader, seen, log } = bench({ chosen: new Map([['gate', 'birds']]) });
  seen.fault = new LookoutError('MODEL_UNUSABLE', 'no such operator');
  await reloader.start();
  assert.deepEqual(seen.chosen, [{ camera: 'gate', setting: 'model', value: null }]);
  assert.match(log.withCode('MODEL_UNUSABLE')[0]!.msg, /^cannot use the chosen models: no such operator/);
});

test('without a choice the start swaps nothing', async () => {
  const { reloader, seen } = bench();
  await reloader.start();
  assert.deepEqual(seen.swaps, []);
  assert.equal(seen.published.length, 1);
});

test('a selected model is used, and the choice is saved; null selects the configured one', async () => {
  const { reloader, seen } = bench();
  reloader.select('gate', 'birds');
  reloader.select('gate', null);
  await settle();
  assert.deepEqual(seen.swaps, ['key of birds', 'key of default']);
  assert.deepEqual(
    seen.chosen.map(({ value }) => value),
    ['birds', 'default'],
  );
  assert.deepEqual(seen.labels, [['jay'], ['dog', 'car']]);
});

test('a model that cannot run changes nothing; the old one is confirmed and the reason is logged', async () => {
  const { reloader, seen, log } = bench();
  seen.fault = new LookoutError('MODEL_UNUSABLE', 'no such operator');
  reloader.select('gate', 'birds');
  await settle();
  assert.deepEqual([seen.used, seen.chosen], [[], []]);
  assert.deepEqual(seen.confirmed, [{ camera: 'gate', setting: 'model', value: 'default' }]);
  assert.match(log.withCode('MODEL_UNUSABLE')[0]!.msg, /^the model of gate is unchanged: /);
});

test('a reload applies models and settings of cameras, and names the settings that need a restart', async () => {
  const { reloader, seen, messages } = bench();
  const camera = { source: { kind: 'demo' }, model: 'birds' };
  reloader.reload(async () => loadedFrom({ cameras: { gate: camera }, health_interval: 5 }));
  await settle();
  assert.deepEqual(seen.swaps, ['key of birds']);
  assert.deepEqual([seen.followed, seen.applied], [1, 1]);
  assert.deepEqual(seen.errors, [null]);
  assert.deepEqual(messages(), [
    'configuration reloaded: models, labels and groups updated',
    'these settings need a restart: health_interval',
  ]);
});

test('a configuration that is refused changes nothing and is reported until a valid one comes', async () => {
  const { reloader, seen, messages } = bench();
  reloader.reload(() => Promise.reject(new LookoutError('CONFIG_INVALID', 'line 3: expected a number')));
  await settle();
  assert.deepEqual([seen.used, seen.followed, seen.applied], [[], 0, 0]);
  assert.match(messages()[0]!, /^reload failed, the configuration is unchanged: .*line 3/);
  assert.match(String(seen.errors[0]), /line 3: expected a number/);
  reloader.reload(async () => loadedFrom());
  await settle();
  assert.equal(seen.errors.at(-1), null);
});

test('a secret in the refused configuration is not published', async () => {
  const { reloader, seen } = bench();
  reloader.reload(() => Promise.reject(new Error('cannot read rtsp://user:hunter2@camera/live')));
  await settle();
  assert.doesNotMatch(String(seen.errors[0]), /hunter2/);
});

test('changes are made one after the other', async () => {
  const { reloader, seen } = bench();
  const open = Promise.withResolvers<void>();
  seen.gate = open.promise;
  reloader.select('gate', 'birds');
  reloader.reload(async () => loadedFrom());
  await settle();
  assert.deepEqual([seen.swaps, seen.followed], [[], 0]);
  open.resolve();
  await settle();
  assert.deepEqual(seen.swaps, ['key of birds', 'key of default']);
});

test('at the stop a change in flight fails without a log line, and those that wait are dropped', async () => {
  const { reloader, seen, messages } = bench();
  const open = Promise.withResolvers<void>();
  seen.gate = open.promise;
  reloader.select('gate', 'birds');
  reloader.select('gate', 'default');
  await settle();
  reloader.stop();
  seen.fault = new Error('the vision threads have ended');
  open.resolve();
  await settle();
  assert.deepEqual([seen.swaps, seen.chosen], [[], []]);
  assert.deepEqual(messages(), []);
});
