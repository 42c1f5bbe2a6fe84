import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelLevels, Topics } from '../../../src/publish/topics.ts';

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

test('a label is a topic level without wildcards, slashes or spaces', () => {
  assert.equal(topics.label('drive', 'vehicle'), 'home/lookout/garden/drive/vehicle');
  assert.equal(topics.label('drive', 'Egyptian cat'), 'home/lookout/garden/drive/egyptian_cat');
  assert.equal(topics.label('drive', 'unheard of'), null);
  assert.equal(topics.label('elsewhere', 'vehicle'), null);
  for (const level of labelLevels(['a/b', '#', '+', '', 'Ü', 'car, auto']).values())
    assert.match(level, /^[a-z0-9_-]+$/);
});

test('a label never takes a topic of the camera or of another label', () => {
  assert.equal(topics.label('drive', 'status'), 'home/lookout/garden/drive/status_2');
  const labels = [
    'event',
    'snapshot',
    'enabled',
    'detect',
    'threshold',
    'big cat',
    'big-cat',
    'Big Cat',
    'big_cat_2',
  ];
  const levels = [...labelLevels(labels).values()];
  assert.equal(new Set(levels).size, labels.length);
  assert.deepEqual(levels, [
    'event_2',
    'snapshot_2',
    'enabled_2',
    'detect_2',
    'threshold_2',
    'big_cat',
    'big-cat',
    'big_cat_2',
    'big_cat_2_2',
  ]);
});

test('a command topic names a camera and a setting; others are none', () => {
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

test('a topic is in use if its camera is there, and what it says is something of that camera', () => {
  for (const level of ['status', 'snapshot', 'detect', 'egyptian_cat'])
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
