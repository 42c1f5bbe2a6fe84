/**
 * The one way of an event to the log, the database and MQTT: each step is logged, its times are corrected if the clock
 * was wrong when the event started, and it commits in one transaction with the messages that it causes.
 */
import type { Logger } from 'pino';
import type { Publisher } from './publish/publisher.ts';
import { logEvent } from './runtime/logger.ts';
import type { TimeJudge } from './runtime/time-judge.ts';
import type { Store } from './store/store.ts';
import type { EventChange } from './types.ts';

export interface EventRecorderOptions {
  store: Pick<Store, 'recordEvent' | 'leftOpen' | 'flush'>;
  publisher: Pick<Publisher, 'eventMessages' | 'wake'>;
  judge: Pick<TimeJudge, 'stamp' | 'correction'>;
  log: Logger;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** By the id of each open event, the setting of the clock in which it started. */
  readonly #clocks = new Map<string, number | null>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Records a step of an event and sets the event's `clock`. */
  record(change: EventChange): void {
    const { log, judge } = this.#options;
    const { type, event } = change;
    event.clock = this.#clocks.get(event.id) ?? judge.stamp(event.startedAt).clock;
    if (type === 'end') this.#clocks.delete(event.id);
    else this.#clocks.set(event.id, event.clock);
    logEvent(log.child({ camera: event.camera }), change);
    this.amend(change);
  }

  /** Records a step that was logged before, with something changed. Its event has its `clock`. */
  amend({ type, event }: EventChange): void {
    const { shift, stamp } = this.#options.judge.correction(event.clock ?? null);
    this.#commit({
      type,
      event: {
        ...event,
        startedAt: event.startedAt + shift,
        endedAt: event.endedAt === null ? null : event.endedAt + shift,
        ...stamp,
      },
    });
  }

  /**
   * Ends the events that a crash or a power cut left open, at the time of their last detection. Resolves when that is
   * committed, or waits in memory because the disk is full: a full disk must not delay the start.
   */
  async endLeftOpen(): Promise<void> {
    const { store, log } = this.#options;
    const open = await store.leftOpen();
    for (const { event, lastSeenAt } of open) {
      this.#commit({ type: 'end', event: { ...event, endedAt: lastSeenAt } });
    }
    await store.flush();
    if (open.length > 0) log.warn(`ended ${open.length} events that the last run left open`);
  }

  #commit(change: EventChange): void {
    const { store, publisher } = this.#options;
    const recorded = store.recordEvent(change, publisher.eventMessages(change));
    void recorded.then((committed) => committed && publisher.wake());
  }
}
