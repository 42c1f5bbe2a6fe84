import type { TestContext } from 'node:test';
import { configSchema, type MqttConfig } from '../../src/config/schema.ts';
import type { Command, SettingState } from '../../src/publish/commands.ts';
import { Publisher } from '../../src/publish/publisher.ts';
import type { PublishedCamera } from '../../src/publish/topics.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import type { AnnouncedChanges } from '../../src/store/store-types.ts';
import type { EventChange } from '../../src/types.ts';
import { FakeLog } from '../fakes/log.ts';
import { FakeOutbox } from '../fakes/outbox.ts';

/** Waits pass 20 times as fast, so that a test does not wait for reconnects. */
export const hurriedClock: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(ms / 20, callback),
};

/** Retained topics in memory, by broker, as the database keeps them. */
export class FakeAnnounced {
  readonly rows = new Set<string>();

  announced = async (broker: string) =>
    [...this.rows].flatMap((row) => (row.startsWith(`${broker} `) ? [row.slice(broker.length + 1)] : []));

  announce = async ({ broker, added, removed }: AnnouncedChanges) => {
    for (const topic of added) this.rows.add(`${broker} ${topic}`);
    for (const topic of removed) this.rows.delete(`${broker} ${topic}`);
  };
}

/** Options of a test publisher. */
interface Circumstances {
  clock?: Clock;
  device?: string;
  cameras?: PublishedCamera[];
  announced?: FakeAnnounced;
}

const CAMERAS = [
  { name: 'drive', labels: ['vehicle', 'person'] },
  { name: 'porch', labels: ['person'] },
];

/** A publisher called `garden` with the cameras `drive` and `porch`, an outbox in memory and a list of commands. */
export class TestPublisher {
  readonly outbox = new FakeOutbox();
  readonly log = new FakeLog();
  readonly commands: Command[] = [];
  readonly announced: FakeAnnounced;
  readonly publisher: Publisher;
  /** The error that the next command throws. */
  fault: Error | null = null;
  readonly #clock: Clock;

  constructor(
    mqtt: Partial<MqttConfig>,
    {
      clock = hurriedClock,
      device = 'garden',
      cameras = CAMERAS,
      announced = new FakeAnnounced(),
    }: Circumstances = {},
  ) {
    this.#clock = clock;
    this.announced = announced;
    this.publisher = new Publisher({
      config: { ...configSchema.parse({}).mqtt, embedded_port: 0, ...mqtt },
      ...{ device, cameras },
      models: ['default', 'birds'],
      outbox: this.outbox,
      store: announced,
      clock,
      log: this.log.logger,
      random: () => 0,
      onCommand: (command) => {
        if (this.fault) throw this.fault;
        this.commands.push(command);
        const { camera, setting, value } = command;
        // Loading a model takes time, and only the daemon knows the configured values.
        if (setting !== 'snapshot' && setting !== 'model' && value !== null)
          this.publisher.confirm({ camera, setting, value } as SettingState);
      },
    });
  }

  /** Starts a publisher that stops when the test ends. */
  static async start(
    t: TestContext,
    mqtt: Partial<MqttConfig>,
    circumstances?: Circumstances,
  ): Promise<TestPublisher> {
    const one = new TestPublisher(mqtt, circumstances);
    t.after(() => one.publisher.stop());
    await one.publisher.start();
    return one;
  }

  /** Records an event as the store does, and wakes the publisher. */
  record(change: EventChange): void {
    for (const message of this.publisher.eventMessages(change))
      this.outbox.add(message, this.#clock.monotonic());
    this.publisher.wake();
  }
}
