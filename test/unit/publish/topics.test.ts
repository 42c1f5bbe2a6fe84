import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelLevel, SETTINGS, Topics } from '../../../src/publish/topics.ts';
import { Seeded } from '../../support/random.ts';

const cameras = [{ name: 'drive', labels: ['vehicle', 'Egyptian cat', 'status'] }];
const topics = new Topics('home/lookout', 'garden', cameras);

test('topics are built from base, device and camera', () => {
  assert.equal(topics.status, 'home/lookout/garden/status');
  assert.equal(topics.info, 'home/lookout/garden/info');
  assert.equal(topics.health, 'home/lookout/garden/health');
  assert.equal(topics.cameraStatus('drive'), 'home/lookout/garden/drive/status');
  assert.equal(topics.event('drive'), 'home/lookout/garden/drive/event');
  assert.equal(topics.snapshot('drive'), 'home/lookout/garden/drive/snapshot');
  assert.equal(topics.setting('drive', 'detect'), 'home/lookout/garden/drive/detect');
  assert.equal(topics.command('drive', 'snapshot'), 'home/lookout/garden/drive/snapshot/set');
  assert.equal(topics.commands, 'home/lookout/garden/+/+/set');
});

test('a label is a topic level, and only labels that make events have one', () => {
  assert.equal(topics.label('drive', 'vehicle'), 'home/lookout/garden/drive/vehicle');
  assert.equal(topics.label('drive', 'Egyptian cat'), 'home/lookout/garden/drive/Egyptian_cat~81441a80');
  assert.equal(topics.label('drive', 'unheard of'), null);
  assert.equal(topics.label('elsewhere', 'vehicle'), null);
});

test('a label never uses a topic of the camera', () => {
  const own = ['status', 'event', 'snapshot', ...SETTINGS];
  for (const label of own) {
    assert.match(labelLevel(label), new RegExp(`^${label}~[0-9a-f]{8}$`));
    assert.equal(labelLevel(`${label}_2`), `${label}_2`);
  }
  assert.equal(topics.label('drive', 'status'), `${topics.cameraStatus('drive')}~073c1634`);
});

test('the topic of a label stays the same whatever other labels there are, in any order', () => {
  const random = new Seeded(3);
  const labels = [
    'cat',
    'Cat',
    'A&B',
    'A+B',
    'Käfer',
    '猫',
    'status',
    'status_2',
    'traffic light',
    'a/b',
    'a_b',
  ];
  const of = (some: string[]) => new Topics('lookout', 'garden', [{ name: 'drive', labels: some }]);
  const all = of(labels);
  assert.equal(new Set(all.labels('drive')).size, labels.length);
  for (let i = 0; i < 200; i++) {
    const some = labels.filter(() => random.chance(0.6)).sort(() => random.next() - 0.5);
    const fewer = of(some);
    for (const label of some) assert.equal(fewer.label('drive', label), all.label('drive', label));
  }
});

test('a command topic names a camera and a setting; other topics are not commands', () => {
  assert.deepEqual(topics.parseCommand('home/lookout/garden/drive/detect/set'), {
    camera: 'drive',
    setting: 'detect',
  });
  for (const topic of [
    'home/lookout/garden/drive/detect',
    'home/lookout/garden/drive/detect/set/now',
    'home/lookout/garden//detect/set',
    'home/lookout/gardener/drive/detect/set',
    'home/lookout/garden',
    '',
  ]) {
    assert.equal(topics.parseCommand(topic), null, topic);
  }
});

test('a topic is in use if its camera exists and has that label or setting', () => {
  for (const level of ['status', 'snapshot', 'detect', 'vehicle', labelLevel('Egyptian cat')])
    assert.ok(topics.isInUse(`home/lookout/garden/drive/${level}`), level);
  assert.ok(!topics.isInUse('home/lookout/garden/drive/zebra'));
  assert.ok(!topics.isInUse('home/lookout/garden/cellar/status'));
  assert.ok(topics.isOfCamera('home/lookout/garden/cellar/status'));
  for (const topic of [
    'home/lookout/garden/status',
    'home/lookout/gardener/a/b',
    'home/lookout/garden/a/b/set',
  ])
    assert.ok(!topics.isOfCamera(topic), topic);
});
