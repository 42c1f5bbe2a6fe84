/** A publisher in a process of its own, to be killed: `node publisher-process.ts '{"url":"mqtt://127.0.0.1:1883"}'`. */
import type { MqttConfig } from '../../src/config/schema.ts';
import { TestPublisher } from '../support/publishing.ts';

await new TestPublisher(JSON.parse(process.argv[2] ?? '{}') as Partial<MqttConfig>).publisher.start();
