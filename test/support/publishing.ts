import type { TestContext } from 'node:test';
import { configSchema, type MqttConfig } from '../../src/config/schema.ts';
import { type Clock, systemClock } from '../../src/platform/clock.ts';
import type { Command, SettingState } from '../../src/publish/commands.ts';
import { Publisher } from '../../src/publish/publisher.ts';
import type { EventChange } from '../../src/types.ts';
import { FakeLog } from '../fakes/log.ts';
import { FakeOutbox } from '../fakes/outbox.ts';

/** Waits pass 20 times as fast, so that attempts to reconnect do not hold up a test. */
export const hurriedClock: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(ms / 20, callback),
};

/** A publisher called `garden` with the cameras `drive` and `porch`, an outbox in memory and ears for commands. */
export class TestPublisher {
  readonly outbox = new FakeOutbox();
  readonly log = new FakeLog();
  readonly commands: Command[] = [];
  readonly publisher: Publisher;
  /** What the next command makes the daemon throw. */
  fault: Error | null = null;
  readonly #clock: Clock;

  constructor(mqtt: Partial<MqttConfig>, clock: Clock = hurriedClock) {
    this.#clock = clock;
    this.publisher = new Publisher({
      config: { ...configSchema.parse({}).mqtt, embedded_port: 0, ...mqtt },
      device: 'garden',
      cameras: [
        { name: 'drive', labels: ['vehicle', 'person'] },
        { name: 'porch', labels: ['person'] },
      ],
      models: ['default', 'birds'],
      outbox: this.outbox,
      clock,
      log: this.log.logger,
      random: () => 0,
      onCommand: (...command) => {
        if (this.fault) throw this.fault;
        this.commands.push(command);
        const [camera, setting, value] = command;
        // Loading a model takes its time, and what the configuration says only the daemon knows.
        if (setting !== 'snapshot' && setting !== 'model' && value !== null)
          this.publisher.confirm(...([camera, setting, value] as SettingState));
      },
    });
  }

  /** Starts one that is stopped when the test ends. */
  static async start(t: TestContext, mqtt: Partial<MqttConfig>, clock?: Clock): Promise<TestPublisher> {
    const one = new TestPublisher(mqtt, clock);
    t.after(() => one.publisher.stop());
    await one.publisher.start();
    return one;
  }

  /** Records an event as the store does, and says so. */
  record(change: EventChange): void {
    for (const message of this.publisher.eventMessages(change)) this.outbox.add(message, this.#clock.now());
    this.publisher.wake();
  }
}
