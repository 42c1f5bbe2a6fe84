import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import type { SettingCommand } from '../../../src/publish/commands.ts';
import { Choices } from '../../../src/setup/choices.ts';
import type { Choice, ChoiceChanges } from '../../../src/store/store-types.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeLog } from '../../fakes/log.ts';

const settings = (raw: object = {}) => ({
  ...configSchema.parse({ cameras: { gate: { source: { kind: 'demo' } }, ...raw } }),
  device: 'here',
});
const camera = (raw: object) => ({ cameras: { gate: { source: { kind: 'demo' }, ...raw } } });

/** A database in memory, as slow as its `release`. */
class FakeStore {
  readonly rows = new Map<string, Choice>();
  readonly writes: ChoiceChanges[] = [];
  fault: Error | null = null;
  gate: Promise<void> = Promise.resolve();

  choices = async () => [...this.rows.values()];

  choose = async (changes: ChoiceChanges) => {
    await this.gate;
    if (this.fault) throw this.fault;
    this.writes.push(changes);
    for (const { camera, setting } of changes.forget) this.rows.delete(`${camera}/${setting}`);
    for (const choice of changes.keep) this.rows.set(`${choice.camera}/${choice.setting}`, choice);
  };
}

async function start(store: FakeStore, config = settings(), models: string[] = ['default', 'birds']) {
  const log = new FakeLog();
  const clock = new FakeClock(Date.UTC(2026, 4, 1, 12));
  const kept: string[] = [];
  const choices = new Choices({
    ...{ config, models, store, clock, judge: clock, log: log.logger },
    onSaved: (camera, setting) => kept.push(`${camera}/${setting}`),
  });
  await choices.start();
  return { choices, clock, kept, log };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('what was chosen counts at the next start, which says since when', async () => {
  const store = new FakeStore();
  const first = await start(store);
  first.choices.set({ camera: 'gate', setting: 'enabled', value: false });
  first.choices.set({ camera: 'gate', setting: 'threshold', value: 0.7 });
  first.choices.set({ camera: 'gate', setting: 'model', value: 'birds' });
  assert.equal(first.choices.current('gate', 'enabled'), false, 'it counts at once');
  await first.choices.stop();
  const second = await start(store);
  assert.equal(second.choices.current('gate', 'enabled'), false);
  assert.equal(second.choices.chosen('gate', 'threshold'), 0.7);
  assert.equal(second.choices.current('gate', 'model'), 'birds');
  assert.equal(second.choices.current('gate', 'detect'), true);
  assert.match(second.log.text, /enabled of gate is OFF since 2026-05-01 \d\d:\d\d:\d\d, as set over MQTT/);
  assert.match(second.log.text, /lookout choices clear gate enabled/);
});

test('a choice is told only when it is on the disk, and the latest one counts', async () => {
  const store = new FakeStore();
  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  const { choices, kept } = await start(store);
  for (let i = 0; i < 5000; i++) choices.set({ camera: 'gate', setting: 'threshold', value: i / 5000 });
  await settle();
  assert.deepEqual(kept, []);
  gate.resolve();
  await choices.stop();
  assert.equal(store.rows.get('gate/threshold')?.value, '0.9998');
  assert.ok(store.writes.length <= 2, `${store.writes.length} writes`);
  assert.ok(kept.length <= 2, `${kept.length} told`);
});

test('a choice is taken back by null, and by choosing what the configuration says', async () => {
  const store = new FakeStore();
  const { choices } = await start(store);
  for (const back of [null, true]) {
    choices.set({ camera: 'gate', setting: 'enabled', value: false });
    await choices.stop();
    assert.equal(store.rows.size, 1);
    choices.set({ camera: 'gate', setting: 'enabled', value: back });
    assert.equal(choices.current('gate', 'enabled'), true);
    await choices.stop();
    assert.equal(store.rows.size, 0);
  }
});

test('choosing the same again writes nothing and keeps its time, but is told', async () => {
  const store = new FakeStore();
  const { choices, clock, kept } = await start(store);
  choices.set({ camera: 'gate', setting: 'detect', value: false });
  await choices.stop();
  const { chosenAt } = store.rows.get('gate/detect')!;
  clock.advance(60_000);
  choices.set({ camera: 'gate', setting: 'detect', value: false });
  await choices.stop();
  assert.equal(store.writes.length, 1);
  assert.equal(store.rows.get('gate/detect')!.chosenAt, chosenAt);
  assert.deepEqual(kept, ['gate/detect', 'gate/detect']);
});

for (const [what, before, after, value] of [
  ['enabled', {}, camera({ enabled: false }), true],
  ['detect', {}, camera({ detect: false }), true],
  ['model', {}, camera({ model: 'birds' }), 'insects'],
  ['threshold', { labels: { person: { on: 0.6 } } }, { labels: { person: { on: 0.5 } } }, 0.9],
  ['threshold', {}, camera({ labels: { person: { on: 0.5 } } }), 0.9],
] as const) {
  test(`a choice of ${what} ends when the configuration says something else, at the start and at a reload`, async () => {
    const parse = (raw: object) => ({
      ...configSchema.parse({ ...camera({}), models: { birds: {}, insects: {} }, ...raw }),
      device: 'here',
    });
    const models = ['default', 'birds', 'insects'];
    for (const when of ['start', 'reload']) {
      const store = new FakeStore();
      const first = await start(store, parse(before), models);
      // `enabled` and `detect` differ from the configuration only where that says the opposite.
      const chosen = typeof value === 'boolean' ? false : value;
      first.choices.set({ camera: 'gate', setting: what, value: chosen } as SettingCommand);
      await first.choices.stop();
      assert.equal(store.rows.size, 1);
      if (when === 'reload') {
        first.choices.follow(parse(before), models);
        assert.notEqual(first.choices.chosen('gate', what), null, 'the same file changes nothing');
        first.choices.follow(parse(after), models);
        assert.equal(first.choices.chosen('gate', what), null);
        await first.choices.stop();
        assert.match(first.log.text, /the configuration applies again/);
      } else {
        const second = await start(store, parse(after), models);
        assert.equal(second.choices.chosen('gate', what), null);
        await second.choices.stop();
      }
      assert.equal(store.rows.size, 0);
    }
  });
}

test('a model that is gone is not chosen any more, and a camera that is gone keeps its choices', async () => {
  const store = new FakeStore();
  const { choices } = await start(store);
  choices.set({ camera: 'gate', setting: 'model', value: 'birds' });
  choices.set({ camera: 'gate', setting: 'enabled', value: false });
  await choices.stop();
  const without = { ...configSchema.parse({}), device: 'here' };
  const absent = await start(store, without, ['default']);
  await absent.choices.stop();
  assert.equal(store.rows.size, 2);
  assert.equal(absent.log.text, '');
  const back = await start(store, settings(), ['default']);
  await back.choices.stop();
  assert.deepEqual([...store.rows.keys()], ['gate/enabled']);
});

test('a choice that cannot be written applies all the same; that is logged once, and the write is retried', async () => {
  const store = new FakeStore();
  store.fault = new Error('disk is full');
  const { choices, clock, kept, log } = await start(store);
  choices.set({ camera: 'gate', setting: 'enabled', value: false });
  await settle();
  choices.set({ camera: 'gate', setting: 'detect', value: false });
  await settle();
  assert.deepEqual(kept, ['gate/enabled', 'gate/detect']);
  assert.equal(log.lines.filter(({ msg }) => /cannot save runtime settings/.test(msg)).length, 1);
  store.fault = null;
  await clock.advanceAsync(30_000, 10_000);
  await choices.stop();
  assert.deepEqual([...store.rows.keys()].sort(), ['gate/detect', 'gate/enabled']);
});
