import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventPayload, healthPayload, thermalPayload } from '../../../src/publish/payloads.ts';
import { labelLevel, SETTINGS, Topics } from '../../../src/publish/topics.ts';
import { eventChange } from '../../fakes/events.ts';
import { healthSample } from '../../fakes/health.ts';

const page = readFileSync(new URL('../../../docs/mqtt.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```json\n(.*?)```/gs)].map(([, json = '']) => JSON.parse(json) as object);
const topics = new Topics('lookout', 'garden', [{ name: 'drive', labels: [] }]);

test('the examples in docs/mqtt.md have the keys of the real messages, in their order', () => {
  const real = [
    eventPayload(eventChange()),
    healthPayload(healthSample()),
    thermalPayload({ analysisRate: 1, limiting: false, temperature_c: 50, limit_c: 75 }),
  ].map((json) => JSON.parse(json) as object);
  assert.deepEqual(examples.map(Object.keys), real.map(Object.keys));
});

test('every topic is in docs/mqtt.md', () => {
  const settings = SETTINGS.flatMap((setting) => [
    topics.setting('drive', setting),
    topics.command('drive', setting),
  ]);
  for (const topic of [
    topics.status,
    topics.info,
    topics.health,
    topics.thermal,
    topics.cameraStatus('drive'),
    topics.event('drive'),
    topics.snapshot('drive'),
    topics.command('drive', 'snapshot'),
    ...settings,
  ]) {
    const short = topic.replace('lookout/garden/drive/', '…/');
    assert.ok(page.includes(`\`${topic}\``) || page.includes(`\`${short}\``), topic);
  }
});

test('the topics of labels in docs/mqtt.md are those of the labels', () => {
  for (const label of ['traffic light', 'status'])
    assert.ok(page.includes(`\`${labelLevel(label)}\``), label);
});
