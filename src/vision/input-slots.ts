import type { ModelDescription } from '../model/description.ts';
import { outputBytes } from '../pixels/resize.ts';
import { SlotQueue } from './queue.ts';

/**
 * Model inputs and outputs in memory that the vision worker and the inference workers share. The queue decides who may
 * use a slot, so there are no locks.
 */
export class Slots {
  readonly memory: SharedArrayBuffer;
  /** The model input in bytes, one array for each slot. */
  readonly inputs: readonly Uint8Array[];
  /** The model output, one number for each label. */
  readonly outputs: readonly Float32Array[];
  /** Milliseconds of each inference. */
  readonly times: Float64Array;
  readonly queue: SlotQueue;

  /**
   * @param sessions number of inputs in flight; there is one additional slot, which is filled meanwhile
   * @param memory `memory` of the other thread's Slots; by default new memory
   */
  constructor({ input, labels }: ModelDescription, sessions: number, memory?: SharedArrayBuffer) {
    const count = sessions + 1;
    const inputSize = aligned(outputBytes(input));
    const outputSize = aligned(labels.length * Float32Array.BYTES_PER_ELEMENT);
    const timesSize = aligned(count * Float64Array.BYTES_PER_ELEMENT);
    const queueLength = SlotQueue.length(count, sessions);
    const head = timesSize + aligned(queueLength * Int32Array.BYTES_PER_ELEMENT);
    this.memory = memory ?? new SharedArrayBuffer(head + count * (inputSize + outputSize));
    this.times = new Float64Array(this.memory, 0, count);
    this.queue = new SlotQueue(new Int32Array(this.memory, timesSize, queueLength), count);
    const numbers = Array.from({ length: count }, (_, slot) => slot);
    const start = (slot: number) => head + slot * (inputSize + outputSize);
    this.inputs = numbers.map((slot) => new Uint8Array(this.memory, start(slot), outputBytes(input)));
    this.outputs = numbers.map(
      (slot) => new Float32Array(this.memory, start(slot) + inputSize, labels.length),
    );
  }
}

/** Rounds up to entire cache lines, so that threads do not share one. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
