/** Brings whole images into a model's input, squashed or with their proportions kept. */
import type { ModelDescription } from '../model/description.ts';
import type { PixelMemory } from '../pixels/kernels.ts';
import { orientationOf, WHOLE } from '../pixels/orientation.ts';
import { ELEMENTS, outputBytes, Resizer } from '../pixels/resize.ts';
import type { FrameFormat } from '../types.ts';

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });
/** The grey that YOLOX is trained with around its images. */
const GREY = 114;

/** Which part of the input the image takes, from the upper left corner, in fractions. */
export interface Part {
  width: number;
  height: number;
}

const ALL: Part = { width: 1, height: 1 };

export class InputFitter {
  /** What the model gets. */
  readonly input: Uint8Array;
  readonly #memory: PixelMemory;
  readonly #wanted: ModelDescription['input'];
  readonly #whole: Resizer;
  /** For the proportions of the last image. */
  #letterbox: { width: number; height: number; resizer: Resizer; target: Uint8Array } | null = null;

  constructor(memory: PixelMemory, wanted: ModelDescription['input']) {
    this.#memory = memory;
    this.#wanted = wanted;
    this.#whole = new Resizer(memory, wanted);
    this.input = new Uint8Array(outputBytes(wanted));
  }

  /** @param format of the image that lies at the beginning of the memory */
  fit(format: FrameFormat): Part {
    const { width, height, fit } = this.#wanted;
    const scale = Math.min(width / format.width, height / format.height);
    const inner = {
      width: Math.max(1, Math.round(format.width * scale)),
      height: Math.max(1, Math.round(format.height * scale)),
    };
    if (fit !== 'letterbox' || (inner.width === width && inner.height === height)) {
      this.#whole.resize(format, WHOLE, UPRIGHT, this.input);
      return ALL;
    }
    const box = this.#letterboxOf(inner);
    box.resizer.resize(format, WHOLE, UPRIGHT, box.target);
    this.#copy(box.target, box.height);
    return { width: box.width / width, height: box.height / height };
  }

  #letterboxOf({ width, height }: { width: number; height: number }) {
    const known = this.#letterbox;
    if (known?.width === width && known.height === height) return known;
    const inner = { ...this.#wanted, width, height };
    this.#fill();
    this.#letterbox = {
      width,
      height,
      resizer: new Resizer(this.#memory, inner),
      target: new Uint8Array(outputBytes(inner)),
    };
    return this.#letterbox;
  }

  /** Row by row, and for planes plane by plane. */
  #copy(from: Uint8Array, height: number): void {
    const wanted = this.#wanted;
    const planes = wanted.layout === 'nchw' ? wanted.channels : 1;
    const row = from.length / planes / height;
    const wide = this.input.length / planes / wanted.height;
    for (let plane = 0; plane < planes; plane++) {
      for (let y = 0; y < height; y++) {
        const at = (plane * height + y) * row;
        this.input.set(from.subarray(at, at + row), (plane * wanted.height + y) * wide);
      }
    }
  }

  /** Makes everything grey. */
  #fill(): void {
    const { type, mean, scale, channels, layout, width, height } = this.#wanted;
    const elements = new ELEMENTS[type](
      this.input.buffer as ArrayBuffer,
      this.input.byteOffset,
      width * height * channels,
    );
    const area = width * height;
    for (let index = 0; index < elements.length; index++) {
      const channel = layout === 'nchw' ? Math.floor(index / area) : index % channels;
      elements[index] = (GREY - mean[channel]!) * scale[channel]!;
    }
  }
}
