/** Small integer networks with random weights, layer by layer, as TensorFlow Lite files. */
import { Random } from '../../src/runtime/random.ts';
import {
  type Option,
  type WrittenModel,
  type WrittenOperator,
  type WrittenTensor,
  writeTflite,
} from './tflite-writer.ts';

export type Whole = 'uint8' | 'int8';
type Activation = 0 | 1 | 2 | 3;
const VALID = 1;

/** A value while the network is being put together. */
export interface Node {
  index: number;
  shape: number[];
  scale: number;
  zeroPoint: number;
}

export type Constant = Omit<WrittenTensor, 'name'>;

export function int32s(...numbers: number[]): Constant {
  return { shape: [numbers.length], type: 'int32', data: Int32Array.from(numbers) };
}

export class TinyNet {
  readonly tensors: WrittenTensor[] = [];
  readonly operators: WrittenOperator[] = [];
  readonly #random: Random;
  readonly #whole: Whole;
  /** One scale for every output channel (int8 only). */
  readonly #perChannel: boolean;
  readonly #input: number;
  at: Node;

  constructor(
    seed: number,
    whole: Whole,
    side: number,
    { perChannel = false, floats = false, shape = [1, side, side, 3] } = {},
  ) {
    this.#random = new Random(seed);
    this.#whole = whole;
    this.#perChannel = perChannel;
    const scale = 1 / 127.5;
    const zeroPoint = whole === 'uint8' ? 128 : -1;
    if (floats) {
      this.#input = this.#tensor({ name: 'input', shape, type: 'float32' });
      const index = this.#tensor({
        name: 'pixels',
        shape,
        type: whole,
        scales: [scale],
        zeroPoints: [zeroPoint],
      });
      this.operators.push({ code: 'QUANTIZE', inputs: [this.#input], outputs: [index] });
      this.at = { index, shape, scale, zeroPoint };
    } else {
      this.at = this.#value('input', shape, scale, zeroPoint);
      this.#input = this.at.index;
    }
  }

  conv(
    to: number,
    kernel: number,
    stride: number,
    { activation = 3 as Activation, valid = false, dilation = 1 } = {},
  ): this {
    const [, rows, columns, channels] = this.at.shape as [number, number, number, number];
    const reach = (kernel - 1) * dilation + 1;
    const size = (n: number) => (valid ? Math.ceil((n - reach + 1) / stride) : Math.ceil(n / stride));
    const shape = [1, size(rows), size(columns), to];
    const weights = this.#weights([to, kernel, kernel, channels], 0, kernel * kernel * channels);
    return this.#weighted('CONV_2D', weights, to, kernel * kernel * channels, shape, [
      [0, 'int8', valid ? VALID : 0],
      [1, 'int32', stride],
      [2, 'int32', stride],
      [3, 'int8', activation],
      [4, 'int32', dilation],
      [5, 'int32', dilation],
    ]);
  }

  depthwise(stride: number, { activation = 3 as Activation, multiplier = 1, valid = false } = {}): this {
    const [, rows, columns, channels] = this.at.shape as [number, number, number, number];
    const to = channels * multiplier;
    const size = (n: number) => (valid ? Math.ceil((n - 2) / stride) : Math.ceil(n / stride));
    const weights = this.#weights([1, 3, 3, to], 3, 9);
    return this.#weighted(
      'DEPTHWISE_CONV_2D',
      weights,
      to,
      9,
      [1, size(rows), size(columns), to],
      [
        [0, 'int8', valid ? VALID : 0],
        [1, 'int32', stride],
        [2, 'int32', stride],
        [3, 'int32', multiplier],
        [4, 'int8', activation],
        [5, 'int32', 1],
        [6, 'int32', 1],
      ],
    );
  }

  /** @param each one product for every row of the last dimension */
  dense(to: number, { activation = 0 as Activation, each = false } = {}): this {
    const { shape } = this.at;
    const from = each ? shape.at(-1)! : shape.reduce((a, b) => a * b, 1);
    const weights = this.#weights([to, from], 0, from);
    const made = each ? [...shape.slice(0, -1), to] : [1, to];
    return this.#weighted('FULLY_CONNECTED', weights, to, from, made, [[0, 'int8', activation]]);
  }

  add(other: Node): this {
    const scale = Math.hypot(this.at.scale, other.scale);
    return this.#step('ADD', [this.at.index, other.index], this.at.shape, scale, this.#middle(), [
      [0, 'int8', 0],
    ]);
  }

  /** Multiplies (or adds to) each channel by a constant. */
  constant(code: 'MUL' | 'ADD' | 'SUB'): this {
    const channels = this.at.shape.at(-1)!;
    const data = this.#numbers(channels);
    const scale = code === 'MUL' ? 1 / 100 : this.at.scale;
    const constant = this.#tensor({
      name: `${code}_constant`,
      shape: [channels],
      type: this.#whole,
      scales: [scale],
      zeroPoints: [this.#middle()],
      data,
    });
    const out = code === 'MUL' ? this.at.scale : this.at.scale * 2;
    return this.#step(code, [this.at.index, constant], this.at.shape, out, this.#middle(), [[0, 'int8', 0]]);
  }

  pool(code: 'AVERAGE_POOL_2D' | 'MAX_POOL_2D', kernel: number, stride: number, valid = false): this {
    const [, rows, columns, channels] = this.at.shape as [number, number, number, number];
    const size = (n: number) => (valid ? Math.ceil((n - kernel + 1) / stride) : Math.ceil(n / stride));
    return this.#step(
      code,
      [this.at.index],
      [1, size(rows), size(columns), channels],
      this.at.scale,
      this.at.zeroPoint,
      [
        [0, 'int8', valid ? VALID : 0],
        [1, 'int32', stride],
        [2, 'int32', stride],
        [3, 'int32', kernel],
        [4, 'int32', kernel],
        [5, 'int8', 0],
      ],
    );
  }

  mean(keep = false): this {
    const channels = this.at.shape[3]!;
    const axes = this.#tensor({ name: 'axes', shape: [2], type: 'int32', data: Int32Array.of(1, 2) });
    const shape = keep ? [1, 1, 1, channels] : [1, channels];
    return this.#step('MEAN', [this.at.index, axes], shape, this.at.scale * 0.7, this.at.zeroPoint, [
      [0, 'int8', keep ? 1 : 0],
    ]);
  }

  /** @param fill the whole number to pad with (PADV2); without it the one that stands for zero (PAD) */
  pad(amount: number, fill?: number): this {
    const [, rows, columns, channels] = this.at.shape as [number, number, number, number];
    const data = [0, 0, amount, amount + 1, amount, amount + 1, 0, 0];
    const pads =
      fill === undefined
        ? this.#tensor({ name: 'pads', shape: [4, 2], type: 'int32', data: Int32Array.from(data) })
        : this.#tensor({
            name: 'pads',
            shape: [4, 2],
            type: 'int64',
            data: BigInt64Array.from(data, BigInt),
          });
    const inputs = [this.at.index, pads];
    if (fill !== undefined) {
      const filling = this.#whole === 'uint8' ? Uint8Array.of(fill) : Int8Array.of(fill);
      const { scale, zeroPoint } = this.at;
      const meaning = { scales: [scale], zeroPoints: [zeroPoint] };
      inputs.push(this.#tensor({ name: 'fill', shape: [], type: this.#whole, ...meaning, data: filling }));
    }
    const shape = [1, rows + 2 * amount + 1, columns + 2 * amount + 1, channels];
    const code = fill === undefined ? 'PAD' : 'PADV2';
    return this.#step(code, inputs, shape, this.at.scale, this.at.zeroPoint);
  }

  reshape(shape: number[], code: 'RESHAPE' | 'SQUEEZE' = 'RESHAPE'): this {
    const inputs = [this.at.index];
    if (code === 'RESHAPE') {
      const data = Int32Array.from(shape);
      inputs.push(this.#tensor({ name: 'shape', shape: [shape.length], type: 'int32', data }));
    }
    return this.#step(code, inputs, shape, this.at.scale, this.at.zeroPoint);
  }

  relu(code: 'RELU' | 'RELU6' | 'RELU_0_TO_1' | 'RELU_N1_TO_1'): this {
    const low = this.#whole === 'uint8' ? 0 : -128;
    const zeroPoint = code === 'RELU_N1_TO_1' ? this.#middle() : low;
    return this.#step(code, [this.at.index], this.at.shape, 6 / 255, zeroPoint);
  }

  requantize(factor: number): this {
    return this.#step('QUANTIZE', [this.at.index], this.at.shape, this.at.scale * factor, this.#middle());
  }

  softmax(): this {
    return this.#step(
      'SOFTMAX',
      [this.at.index],
      this.at.shape,
      1 / 256,
      this.#whole === 'uint8' ? 0 : -128,
      [[0, 'float32', 1]],
    );
  }

  logistic(): this {
    return this.#step(
      'LOGISTIC',
      [this.at.index],
      this.at.shape,
      1 / 256,
      this.#whole === 'uint8' ? 0 : -128,
    );
  }

  dequantize(): this {
    const index = this.#tensor({ name: 'reals', shape: this.at.shape, type: 'float32' });
    this.operators.push({ code: 'DEQUANTIZE', inputs: [this.at.index], outputs: [index] });
    this.at = { ...this.at, index };
    return this;
  }

  /**
   * Any operator.
   * @param inputs values made before, and constants
   * @param made its outputs; without a scale they have that of the value at hand
   * @returns them; the first is the value at hand now
   */
  apply(
    code: WrittenOperator['code'],
    inputs: (Node | Constant)[],
    made: (Pick<Node, 'shape'> & Partial<Node>)[],
    options?: Option[],
  ): Node[] {
    const indices = inputs.map((input) =>
      'index' in input ? input.index : this.#tensor({ name: `${code}_constant`, ...input }),
    );
    const { scale, zeroPoint } = this.at;
    const outputs = made.map((output, part) =>
      this.#value(
        `${code}_${this.operators.length}_${part}`,
        output.shape,
        output.scale ?? scale,
        output.zeroPoint ?? zeroPoint,
      ),
    );
    const written = { code, inputs: indices, outputs: outputs.map(({ index }) => index) };
    this.operators.push({ ...written, ...(options && { options }) });
    this.at = outputs[0]!;
    return outputs;
  }

  /** A constant of whole numbers that stand for real ones. */
  constantOf(shape: number[], scale: number, zeroPoint = this.#middle()): Constant {
    const data = this.#numbers(shape.reduce((a, b) => a * b, 1));
    return { shape, type: this.#whole, scales: [scale], zeroPoints: [zeroPoint], data };
  }

  model(): WrittenModel {
    return {
      tensors: this.tensors,
      operators: this.operators,
      inputs: [this.#input],
      outputs: [this.at.index],
    };
  }

  write(): Uint8Array {
    return writeTflite(this.model());
  }

  #weighted(
    code: 'CONV_2D' | 'DEPTHWISE_CONV_2D' | 'FULLY_CONNECTED',
    weights: { index: number; scales: number[] },
    to: number,
    fanIn: number,
    shape: number[],
    options: Option[],
  ): this {
    const scales = weights.scales.map((scale) => scale * this.at.scale);
    const data = Int32Array.from({ length: to }, () =>
      Math.round(this.#random.gaussian() * 40 * Math.sqrt(fanIn)),
    );
    const zeroPoints = scales.map(() => 0);
    const bias = this.#tensor({ name: `${code}_bias`, shape: [to], type: 'int32', scales, zeroPoints, data });
    // The sums of fanIn products of deviation 70 × 40 should fill the range of the output.
    const scale = (scales[0]! * 70 * 40 * Math.sqrt(fanIn)) / 60;
    const relu = options.some(([, kind, value]) => kind === 'int8' && (value === 3 || value === 1));
    const low = this.#whole === 'uint8' ? 0 : -128;
    return this.#step(
      code,
      [this.at.index, weights.index, bias],
      shape,
      relu ? Math.min(scale, 6 / 255) : scale,
      relu ? low : this.#middle(),
      options,
    );
  }

  #weights(shape: number[], axis: number, fanIn: number): { index: number; scales: number[] } {
    const count = shape.reduce((a, b) => a * b, 1);
    const channels = this.#perChannel ? shape[axis]! : 1;
    const scales = Array.from(
      { length: channels },
      () => this.#random.range(0.6, 1.4) / 50 / Math.sqrt(fanIn),
    );
    const zeroPoint = this.#whole === 'uint8' ? Math.round(this.#random.range(100, 150)) : 0;
    const data = this.#whole === 'uint8' ? this.#numbers(count) : this.#numbers(count, -127);
    const zeroPoints = scales.map(() => zeroPoint);
    const index = this.#tensor({ name: 'weights', shape, type: this.#whole, scales, zeroPoints, axis, data });
    return { index, scales };
  }

  #step(
    code: WrittenOperator['code'],
    inputs: number[],
    shape: number[],
    scale: number,
    zeroPoint: number,
    options?: Option[],
  ): this {
    const value = this.#value(`${code}_${this.operators.length}`, shape, scale, zeroPoint);
    this.operators.push({ code, inputs, outputs: [value.index], ...(options && { options }) });
    this.at = value;
    return this;
  }

  #value(name: string, shape: number[], scale: number, zeroPoint: number): Node {
    const index = this.#tensor({ name, shape, type: this.#whole, scales: [scale], zeroPoints: [zeroPoint] });
    return { index, shape, scale: Math.fround(scale), zeroPoint };
  }

  #tensor(tensor: WrittenTensor): number {
    return this.tensors.push(tensor) - 1;
  }

  #middle(): number {
    return this.#whole === 'uint8' ? 127 : -1;
  }

  #numbers(count: number, lowest = -128): Uint8Array | Int8Array {
    const values = Array.from({ length: count }, () =>
      Math.max(lowest, Math.min(127, Math.round(this.#random.gaussian() * 40))),
    );
    return this.#whole === 'uint8' ? Uint8Array.from(values, (value) => value + 128) : Int8Array.from(values);
  }
}
