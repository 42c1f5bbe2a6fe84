/** A publisher in a process of its own, to be killed: `node publisher-process.ts mqtt://127.0.0.1:1883`. */
import { TestPublisher } from '../support/publishing.ts';

await new TestPublisher({ url: process.argv[2] ?? '' }).publisher.start();
