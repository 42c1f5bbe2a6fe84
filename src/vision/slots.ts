import type { ModelDescription } from '../model/description.ts';
import { outputBytes } from './resize.ts';

/** How many model inputs may be ready or running at once: one runs while the next is made. */
export const SLOT_COUNT = 2;

/**
 * Model inputs and outputs in memory that the vision worker and the inference worker share. Whose turn it is with
 * a slot goes by messages between them, so there are no locks.
 */
export class Slots {
  readonly memory: SharedArrayBuffer;
  /** Bytes of the model's input, one array for each slot. */
  readonly inputs: readonly Uint8Array[];
  /** The model's output, one number for each label. */
  readonly outputs: readonly Float32Array[];
  /** Milliseconds that the model took. */
  readonly times: Float64Array;

  /** @param memory what `memory` of the other thread's Slots is; by default new */
  constructor({ input, labels }: ModelDescription, memory?: SharedArrayBuffer) {
    const inputSize = aligned(outputBytes(input));
    const outputSize = aligned(labels.length * Float32Array.BYTES_PER_ELEMENT);
    const timesSize = aligned(SLOT_COUNT * Float64Array.BYTES_PER_ELEMENT);
    this.memory = memory ?? new SharedArrayBuffer(timesSize + SLOT_COUNT * (inputSize + outputSize));
    this.times = new Float64Array(this.memory, 0, SLOT_COUNT);
    const numbers = Array.from({ length: SLOT_COUNT }, (_, slot) => slot);
    const start = (slot: number) => timesSize + slot * (inputSize + outputSize);
    this.inputs = numbers.map((slot) => new Uint8Array(this.memory, start(slot), outputBytes(input)));
    this.outputs = numbers.map(
      (slot) => new Float32Array(this.memory, start(slot) + inputSize, labels.length),
    );
  }
}

/** Whole cache lines, so that threads do not disturb each other. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
