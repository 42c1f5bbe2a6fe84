/**
 * Crop, antialiased resize, YUV → RGB, rotation, mirroring and the model's layout in one pass over the picture:
 *
 *   picture ─▶ filterColumns ─▶ line ─▶ filterRow ─▶ yuvToRgb / roundRow ─▶ scatter ─▶ model input
 *              (for each output line and plane)                            (its strides turn and flip)
 *
 * Chroma is filtered at its own resolution, and colours are converted at the size of the output. All that can be
 * worked out beforehand for one format, box and orientation is a plan; plans are kept.
 */
import type { ModelDescription } from '../model/description.ts';
import type { Box, Colour, PictureFormat } from '../types.ts';
import { triangleTaps } from './filter.ts';
import { GAIN_UNIT, type Kernels, LEVEL, type PixelMemory } from './kernels.ts';
import { Layout, PlaneFilter } from './plane.ts';
import { type Orientation, toRaw } from './transform.ts';

/** What the resized picture must look like: size, layout, element type, channel order, mean and scale. */
export type OutputFormat = Omit<ModelDescription['input'], 'name'>;

const ELEMENTS = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array } as const;
const PLANS_KEPT = 32;

export function outputBytes({ width, height, type }: OutputFormat): number {
  return width * height * 3 * ELEMENTS[type].BYTES_PER_ELEMENT;
}

export class Resizer {
  readonly #memory: PixelMemory;
  readonly #output: OutputFormat;
  readonly #plans = new Map<string, Plan>();

  constructor(memory: PixelMemory, output: OutputFormat) {
    this.#memory = memory;
    this.#output = output;
  }

  /**
   * Squashes `box` of the upright picture to the output's size.
   * @param format of the picture that lies at the beginning of the memory
   * @param target exactly `outputBytes` bytes
   */
  resize(format: PictureFormat, box: Box, orientation: Orientation, target: Uint8Array): void {
    const { x, y, w, h } = box;
    const { swap, flipX, flipY } = orientation;
    const { width, height, pixels, colour } = format;
    const key = `${width} ${height} ${pixels} ${colour} ${x} ${y} ${w} ${h} ${swap} ${flipX} ${flipY}`;
    const plan = this.#plans.get(key) ?? new Plan(format, box, orientation, this.#output);
    this.#plans.delete(key);
    this.#plans.set(key, plan);
    if (this.#plans.size > PLANS_KEPT) this.#plans.delete(this.#plans.keys().next().value!);
    plan.run(this.#memory, target);
  }
}

/** One channel of the picture (Y, U, V or red, green, blue), and the colour of the output in the same place. */
interface Channel {
  filter: PlaneFilter;
  /** Where the channel's plane begins; null: interleaved with the channel before. */
  plane: number | null;
  /** Where the channel begins in a line of interleaved ones. */
  offset: number;
  /** Buffers of one line: filtered samples, and bytes of the colour. */
  samples: number;
  bytes: number;
  /** The output's element for each byte of the colour, and where its elements begin. */
  table: number;
  start: number;
}

class Plan {
  readonly #layout: Layout;
  readonly #channels: [Channel, Channel, Channel];
  readonly #matrix: number | null;
  /** Size of the output as the raw picture lies. */
  readonly #width: number;
  readonly #height: number;
  readonly #target: number;
  readonly #targetBytes: number;
  readonly #elementBytes: number;
  /** Bytes in the output from one element to the next along a line of the raw picture, and to the next line. */
  readonly #stepX: number;
  readonly #stepY: number;

  constructor(format: PictureFormat, box: Box, orientation: Orientation, output: OutputFormat) {
    const { swap, flipX, flipY } = orientation;
    const layout = new Layout(format);
    this.#layout = layout;
    this.#width = swap ? output.height : output.width;
    this.#height = swap ? output.width : output.height;
    this.#targetBytes = outputBytes(output);
    this.#target = layout.area(this.#targetBytes);
    this.#matrix = format.pixels === 'i420' ? layout.constant(colourMatrix(format.colour)) : null;

    const element = ELEMENTS[output.type].BYTES_PER_ELEMENT;
    const area = output.width * output.height;
    const pixelStep = output.layout === 'nhwc' ? 3 * element : element;
    const channelStep = output.layout === 'nhwc' ? element : area * element;
    const lineStep = pixelStep * output.width;
    const right = flipX ? -pixelStep : pixelStep;
    const down = flipY ? -lineStep : lineStep;
    const corner = (flipX ? lineStep - pixelStep : 0) + (flipY ? (output.height - 1) * lineStep : 0);
    this.#stepX = swap ? down : right;
    this.#stepY = swap ? right : down;
    this.#elementBytes = element;

    const sources = this.#sources(format, toRaw(box, orientation));
    this.#channels = sources.map((source, index) => {
      const position = output.order === 'rgb' ? index : 2 - index;
      return {
        ...source,
        samples: layout.area(source.filter.count * 2),
        bytes: layout.area(source.filter.count),
        table: layout.constant(elementTable(output, position)),
        start: this.#target + corner + position * channelStep,
      };
    }) as [Channel, Channel, Channel];
  }

  run(memory: PixelMemory, target: Uint8Array): void {
    const bytes = this.#layout.prepare(memory);
    const { kernels } = memory;
    const [first, second, third] = this.#channels;
    const scatter = this.#elementBytes === 1 ? kernels.scatterBytes : kernels.scatterWords;
    const count = first.filter.count;
    const [stepX, width, matrix] = [this.#stepX, this.#width, this.#matrix];
    // Loops over three channels are written out: iterators and spread arguments were 200 kB of garbage for a picture.
    for (let y = 0; y < this.#height; y++) {
      filterLine(first, kernels, y);
      filterLine(second, kernels, y);
      filterLine(third, kernels, y);
      if (matrix === null) {
        kernels.roundRow(first.samples, first.bytes, count);
        kernels.roundRow(second.samples, second.bytes, count);
        kernels.roundRow(third.samples, third.bytes, count);
      } else {
        const { samples: luma, bytes: red } = first;
        kernels.yuvToRgb(luma, second.samples, third.samples, matrix, red, second.bytes, third.bytes, count);
      }
      const line = y * this.#stepY;
      scatter(first.bytes, first.table, first.start + line, stepX, width);
      scatter(second.bytes, second.table, second.start + line, stepX, width);
      scatter(third.bytes, third.table, third.start + line, stepX, width);
    }
    target.set(bytes.subarray(this.#target, this.#target + this.#targetBytes));
  }

  #sources(format: PictureFormat, box: Box): Pick<Channel, 'filter' | 'plane' | 'offset'>[] {
    const filter = (width: number, height: number, step: number) => {
      const across = { size: width, from: box.x * width, to: (box.x + box.w) * width, count: this.#width };
      const down = { size: height, from: box.y * height, to: (box.y + box.h) * height, count: this.#height };
      return new PlaneFilter(this.#layout, { width, step }, triangleTaps(across), triangleTaps(down));
    };
    const { width, height } = format;
    if (format.pixels === 'rgb24') {
      const all = filter(width, height, 3);
      return [0, 1, 2].map((offset) => ({ filter: all, plane: offset === 0 ? 0 : null, offset }));
    }
    const luma = filter(width, height, 1);
    const chroma = filter(width / 2, height / 2, 1);
    const area = width * height;
    return [luma, chroma, chroma].map((each, index) => ({
      filter: each,
      plane: index === 0 ? 0 : area + ((index - 1) * area) / 4,
      offset: 0,
    }));
  }
}

function filterLine({ filter, plane, offset, samples }: Channel, kernels: Kernels, y: number): void {
  if (plane !== null) filter.columns(kernels, plane, y);
  filter.row(kernels, offset, samples);
}

/**
 * Numbers for the kernel `yuvToRgb`, from the luma weights of red and blue in ITU-R BT.601 and BT.709; `jpeg`
 * (JFIF) is BT.601 with the full range of levels.
 */
function colourMatrix(colour: Colour): Int16Array<ArrayBuffer> {
  const [red, blue] = colour === 'bt709' ? [0.2126, 0.0722] : [0.299, 0.114];
  const green = 1 - red - blue;
  const full = colour === 'jpeg';
  const lumaGain = full ? 1 : 255 / 219;
  const chromaGain = full ? 1 : 255 / 224;
  const gains = [
    lumaGain,
    chromaGain * 2 * (1 - red),
    (chromaGain * -2 * blue * (1 - blue)) / green,
    (chromaGain * -2 * red * (1 - red)) / green,
    chromaGain * 2 * (1 - blue),
  ];
  return Int16Array.of(full ? 0 : 16 * LEVEL, ...gains.map((gain) => Math.round(gain * GAIN_UNIT)));
}

/** What the output holds for each byte of the channel at `position`. */
function elementTable({ type, mean, scale }: OutputFormat, position: number) {
  const table = new ELEMENTS[type](256);
  const [least, most] = type === 'uint8' ? [0, 255] : [-128, 127];
  for (let byte = 0; byte < 256; byte++) {
    const value = (byte - mean[position]!) * scale[position]!;
    table[byte] = type === 'float32' ? value : Math.min(most, Math.max(least, Math.round(value)));
  }
  return table;
}
