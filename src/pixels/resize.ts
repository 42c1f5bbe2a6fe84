/**
 * Crop, antialiased resize, YUV → RGB or grey, rotation, mirroring and the layout of the model input in one pass over
 * the frame:
 *
 *   frame ─▶ filterColumns ─▶ line ─▶ filterRow ─▶ yuvToRgb / roundRow ─▶ scatter ─▶ model input
 *            (for each output line and plane)      / rgbToLuma           (its strides rotate and mirror)
 *
 * Chroma is filtered at its own resolution (for grey, not at all), and colours are converted at the output size. A plan
 * contains everything that can be computed in advance for one format, box and orientation; plans are cached.
 */
import type { Box, Colour, FrameFormat, ModelInput } from '../types.ts';
import { triangleTaps } from './filter.ts';
import { GAIN_UNIT, type Kernels, LEVEL, type PixelMemory } from './kernels.ts';
import { type Orientation, toRaw } from './orientation.ts';
import { Layout, PlaneFilter } from './plane.ts';

/** The array of each type of element. */
export const ELEMENTS = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array } as const;
const PLANS_KEPT = 32;

export function outputBytes({ width, height, channels, type }: ModelInput): number {
  return width * height * channels * ELEMENTS[type].BYTES_PER_ELEMENT;
}

/** An output of unscaled levels as packed bytes: red, green, blue, or grey. */
export function plainBytes(channels: ModelInput['channels']): Omit<ModelInput, 'width' | 'height'> {
  const each = (value: number) => new Array<number>(channels).fill(value);
  return { layout: 'nhwc', type: 'uint8', channels, order: 'rgb', mean: each(0), scale: each(1) };
}

export class Resizer {
  readonly #memory: PixelMemory;
  readonly #output: ModelInput;
  readonly #plans = new Map<string, Plan>();

  constructor(memory: PixelMemory, output: ModelInput) {
    this.#memory = memory;
    this.#output = output;
  }

  /**
   * Scales `box` of the upright frame to the output size, without keeping its proportions.
   * @param format of the frame at the beginning of the memory
   * @param target exactly `outputBytes` bytes
   */
  resize(format: FrameFormat, box: Box, orientation: Orientation, target: Uint8Array): void {
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

/** One channel of the frame: Y, U, V or red, green, blue. */
interface Source {
  filter: PlaneFilter;
  /** Start of the channel's plane; null: interleaved with the previous channel. */
  plane: number | null;
  /** Offset of the channel in a line of interleaved channels. */
  offset: number;
  /** Buffer of one line of filtered samples. */
  samples: number;
}

/** One channel of the output. */
interface Target {
  /** Buffer of one line of bytes. */
  bytes: number;
  /** Address of the table from bytes to output elements, and start of the elements. */
  table: number;
  start: number;
}

class Plan {
  readonly #layout: Layout;
  readonly #sources: readonly Source[];
  readonly #targets: readonly Target[];
  /** Converts one line of source samples to bytes of all targets. */
  readonly #convert: (kernels: Kernels) => void;
  /** Output size in the orientation of the raw frame. */
  readonly #width: number;
  readonly #height: number;
  readonly #target: number;
  readonly #targetBytes: number;
  readonly #elementBytes: number;
  /** Output bytes from one element to the next along a line of the raw frame, and to the next line. */
  readonly #stepX: number;
  readonly #stepY: number;

  constructor(format: FrameFormat, box: Box, orientation: Orientation, output: ModelInput) {
    const { swap, flipX, flipY } = orientation;
    const { channels } = output;
    const layout = new Layout(format);
    this.#layout = layout;
    this.#width = swap ? output.height : output.width;
    this.#height = swap ? output.width : output.height;
    this.#targetBytes = outputBytes(output);
    this.#target = layout.area(this.#targetBytes);

    const element = ELEMENTS[output.type].BYTES_PER_ELEMENT;
    const area = output.width * output.height;
    const pixelStep = output.layout === 'nhwc' ? channels * element : element;
    const channelStep = output.layout === 'nhwc' ? element : area * element;
    const lineStep = pixelStep * output.width;
    const right = flipX ? -pixelStep : pixelStep;
    const down = flipY ? -lineStep : lineStep;
    const corner = (flipX ? lineStep - pixelStep : 0) + (flipY ? (output.height - 1) * lineStep : 0);
    this.#stepX = swap ? down : right;
    this.#stepY = swap ? right : down;
    this.#elementBytes = element;

    this.#sources = this.#filters(format, toRaw(box, orientation), channels).map((source) => ({
      ...source,
      samples: layout.area(source.filter.count * 2),
    }));
    this.#targets = Array.from({ length: channels }, (_, index) => {
      const position = output.order === 'rgb' ? index : channels - 1 - index;
      return {
        bytes: layout.area(this.#sources[0]!.filter.count),
        table: layout.constant(elementTable(output, position)),
        start: this.#target + corner + position * channelStep,
      };
    });
    this.#convert = this.#conversion(format);
  }

  run(memory: PixelMemory, target: Uint8Array): void {
    const bytes = this.#layout.prepare(memory);
    const { kernels } = memory;
    const scatter = this.#elementBytes === 1 ? kernels.scatterBytes : kernels.scatterWords;
    const [sources, targets, stepX, width] = [this.#sources, this.#targets, this.#stepX, this.#width];
    // Index loops over channels: iterators and spread arguments made 200 kB of garbage per frame.
    for (let y = 0; y < this.#height; y++) {
      for (let channel = 0; channel < sources.length; channel++) filterLine(sources[channel]!, kernels, y);
      this.#convert(kernels);
      const line = y * this.#stepY;
      for (let channel = 0; channel < targets.length; channel++) {
        const { bytes: row, table, start } = targets[channel]!;
        scatter(row, table, start + line, stepX, width);
      }
    }
    target.set(bytes.subarray(this.#target, this.#target + this.#targetBytes));
  }

  #filters(format: FrameFormat, box: Box, channels: number): Omit<Source, 'samples'>[] {
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
    const luma = { filter: filter(width, height, 1), plane: 0, offset: 0 };
    if (channels === 1) return [luma];
    const chroma = filter(width / 2, height / 2, 1);
    const area = width * height;
    return [luma, ...[area, area * 1.25].map((plane) => ({ filter: chroma, plane, offset: 0 }))];
  }

  #conversion({ pixels, colour }: FrameFormat): (kernels: Kernels) => void {
    const layout = this.#layout;
    const { count } = this.#sources[0]!.filter;
    const samples = this.#sources.map((source) => source.samples) as [number, number, number];
    const bytes = this.#targets.map((target) => target.bytes) as [number, number, number];
    const grey = this.#targets.length === 1;
    if (pixels === 'i420') {
      const matrix = layout.constant(colourMatrix(colour));
      // With neutral chroma, red, green and blue all equal grey.
      const neutral = grey ? layout.constant(new Int16Array(count).fill(128 * LEVEL)) : 0;
      const [y, u, v] = grey ? [samples[0], neutral, neutral] : samples;
      const [red, green, blue] = grey ? [bytes[0], bytes[0], bytes[0]] : bytes;
      return ({ yuvToRgb }) => yuvToRgb(y, u, v, matrix, red, green, blue, count);
    }
    const [red, green, blue] = samples;
    if (grey) return ({ rgbToLuma }) => rgbToLuma(red, green, blue, bytes[0], count);
    return ({ roundRow }) => {
      roundRow(red, bytes[0], count);
      roundRow(green, bytes[1], count);
      roundRow(blue, bytes[2], count);
    };
  }
}

function filterLine({ filter, plane, offset, samples }: Source, kernels: Kernels, y: number): void {
  if (plane !== null) filter.columns(kernels, plane, y);
  filter.row(kernels, offset, samples);
}

/**
 * The matrix of the kernel `yuvToRgb`, from the luma weights of red and blue in ITU-R BT.601 and BT.709; `jpeg`
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

/** The output element for each byte of the channel at `position`. */
function elementTable({ type, mean, scale }: ModelInput, position: number) {
  const table = new ELEMENTS[type](256);
  const [least, most] = type === 'uint8' ? [0, 255] : [-128, 127];
  for (let byte = 0; byte < 256; byte++) {
    const value = (byte - mean[position]!) * scale[position]!;
    table[byte] = type === 'float32' ? value : Math.min(most, Math.max(least, Math.round(value)));
  }
  return table;
}
