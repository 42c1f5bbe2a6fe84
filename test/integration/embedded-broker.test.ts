import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connectAsync, type MqttClient } from 'mqtt';
import { EmbeddedBroker } from '../../src/publish/embedded-broker.ts';
import { FakeLog } from '../fakes/log.ts';
import { until } from '../support/until.ts';

/** More topics than the broker reads ahead for a subscriber. */
const TOPICS = Array.from({ length: 200 }, (_, number) => `house/${number}`);

async function start(t: TestContext): Promise<{ url: string; client: MqttClient }> {
  const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, log: new FakeLog().logger });
  await broker.start();
  t.after(() => broker.stop());
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const client = await connectAsync(url);
  t.after(() => client.endAsync(true));
  return { url, client };
}

async function retain(client: MqttClient, payload: string): Promise<void> {
  await Promise.all(TOPICS.map((topic) => client.publishAsync(topic, payload, { qos: 1, retain: true })));
}

/** The value of each topic for a client that subscribes just when all of them change. */
async function subscribedDuring(t: TestContext, url: string, change: () => Promise<void>) {
  const values = new Map<string, string>();
  const subscriber = await connectAsync(url);
  t.after(() => subscriber.endAsync(true));
  subscriber.on('message', (topic, payload) => values.set(topic, payload.toString()));
  await Promise.all([subscriber.subscribeAsync('#', { qos: 1 }), change()]);
  return values;
}

test('a value that changes while a client subscribes is not followed by the one before', async (t) => {
  const { url, client } = await start(t);
  for (let round = 0; round < 4; round++) {
    await retain(client, 'old');
    const values = await subscribedDuring(t, url, () => retain(client, 'new'));
    await client.publishAsync('last', `${round}`, { qos: 1 });
    await until('the last message', () => values.get('last') === `${round}` && values.size > TOPICS.length);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(
      TOPICS.filter((topic) => values.get(topic) !== 'new'),
      [],
      `round ${round}`,
    );
  }
});
