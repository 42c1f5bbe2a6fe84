import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelLog } from '../../../src/setup/model-log.ts';
import { FakeLog } from '../../fakes/log.ts';
import { resolvedModel, sessionInfo } from '../../fakes/resolved.ts';

const DEFAULT = resolvedModel('default');
const BIRDS = resolvedModel('birds');
const models = new Map([
  ['default', DEFAULT],
  ['same', { ...DEFAULT }],
  ['birds', BIRDS],
]);

test('each model is logged once while it is in use, and again when it comes back', () => {
  const log = new FakeLog();
  const modelLog = new ModelLog(log.logger);
  const messages = () => log.lines.splice(0).map(({ msg }) => msg);
  const one = new Map([[DEFAULT.key, sessionInfo({ threads: 1 })]]);
  const both = new Map([...one, [BIRDS.key, sessionInfo()]]);

  modelLog.update({ models }, one);
  assert.deepEqual(messages(), [
    'model default_net, 96×64, on cpu with 1 thread, standard int8 kernel: exact here',
  ]);
  modelLog.update({ models }, both);
  assert.deepEqual(messages(), [
    'model birds_net, 96×64, on cpu with 2 threads, standard int8 kernel: exact here',
  ]);
  modelLog.update({ models }, one);
  assert.deepEqual(messages(), []);
  modelLog.update({ models }, both);
  assert.equal(messages().length, 1);
});

test('what the user should know of a model is a warning', () => {
  const log = new FakeLog();
  const model = resolvedModel('default', {
    note: { text: 'using the built-in model', problem: true },
    description: { ...DEFAULT.description, warning: 'labels are numbers' },
  });
  const sessions = new Map([[model.key, sessionInfo({ kernel: { name: 'saturating', reason: 'clips' } })]]);
  new ModelLog(log.logger).update({ models: new Map([['default', model]]) }, sessions);
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    [40, 40, 40],
  );
});
