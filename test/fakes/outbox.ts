import type { Outbox } from '../../src/publish/outbox.ts';
import type { OutboxMessage, OutboxRow } from '../../src/store/types.ts';

/** An outbox in memory that behaves as the store's does. */
export class FakeOutbox implements Outbox {
  rows: OutboxRow[] = [];
  /** What published() was called with. */
  readonly reports: number[] = [];
  /** Messages that the broker takes in no form. */
  undeliverable = 0;
  #nextId = 1;

  add(message: OutboxMessage, createdAt: number): number {
    const id = this.#nextId++;
    this.rows.push({ ...message, id, createdAt });
    return id;
  }

  async outbox(afterId: number, limit: number): Promise<OutboxRow[]> {
    return this.rows.filter(({ id }) => id > afterId).slice(0, limit);
  }

  published(upToId: number, undeliverable: number): void {
    this.undeliverable += undeliverable;
    this.reports.push(upToId);
    this.rows = this.rows.filter(({ id }) => id > upToId);
  }
}
