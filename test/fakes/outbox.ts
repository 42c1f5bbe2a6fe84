import type { Outbox } from '../../src/publish/outbox.ts';
import type { OutboxMessage, WaitingMessage } from '../../src/store/store-types.ts';

/** An outbox in memory that behaves as the store's does. */
export class FakeOutbox implements Outbox {
  rows: WaitingMessage[] = [];
  /** What published() was called with. */
  readonly reports: number[] = [];
  /** Messages that the broker takes in no form. */
  undeliverable = 0;
  #nextId = 1;

  add(message: OutboxMessage, recordedAt: number): number {
    const id = this.#nextId++;
    this.rows.push({ ...message, id, recordedAt });
    return id;
  }

  async outbox(afterId: number, limit: number): Promise<WaitingMessage[]> {
    return this.rows.filter(({ id }) => id > afterId).slice(0, limit);
  }

  published(upToId: number, undeliverable: number): void {
    this.undeliverable += undeliverable;
    this.reports.push(upToId);
    this.rows = this.rows.filter(({ id }) => id > upToId);
  }
}
