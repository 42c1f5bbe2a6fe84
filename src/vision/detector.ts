import type { BoxDescription } from '../model/boxes.ts';
import type { ModelDescription } from '../model/description.ts';
import type { LoadedModel } from '../model/load-model.ts';
import { PixelMemory } from '../pixels/kernels.ts';
import type { DetectedObject, FrameFormat } from '../types.ts';
import { BoxDecoder, type BoxLimits, type Found } from './boxes.ts';
import { ModelSession, type SessionConfig } from './inference-session.ts';
import { InputFitter } from './input-fitter.ts';

/** Finds objects in single images, with the daemon's own resize and session, in the calling thread. */
export class Detector {
  readonly #session: ModelSession;
  readonly #description: ModelDescription;
  readonly #memory = new PixelMemory();
  readonly #fitter: InputFitter;
  readonly #infer: () => Found;

  private constructor(
    session: ModelSession,
    description: ModelDescription,
    boxes: BoxDescription,
    limits: Partial<BoxLimits>,
  ) {
    const { input, output } = description;
    this.#session = session;
    this.#description = description;
    this.#fitter = new InputFitter(this.#memory, input);
    const decoder = new BoxDecoder(description, limits);
    let found: Found | null = null;
    // `grid` has everything in one output.
    const names = [...new Set([output.name, boxes.output])];
    const run = session.bindOutputs(this.#fitter.input, names, (outputs) => {
      found = decoder.decode(outputs[0]!, outputs[names.length - 1]!);
    });
    this.#infer = () => {
      run();
      return found!;
    };
  }

  /**
   * @param limits other than those of the description
   * @throws LookoutError MODEL_* as ModelSession.open does
   */
  static open(
    { file, description }: Pick<LoadedModel, 'file' | 'description'>,
    config: SessionConfig,
    limits: Partial<BoxLimits> = {},
  ): Detector {
    const { boxes } = description;
    if (!boxes) throw new TypeError(`${file} is not a detector`);
    return new Detector(ModelSession.open(file, description, config), description, boxes, limits);
  }

  /** The objects of a whole image, the best first; boxes end at the edges of the image. */
  detect(image: { format: FrameFormat; data: Uint8Array }): DetectedObject[] {
    const { format, data } = image;
    this.#memory.bytes(data.length).set(data);
    const { width, height } = this.#fitter.fit(format);
    const { count, classes, scores, corners } = this.#infer();
    return Array.from({ length: count }, (_, place) => {
      const [left, top, right, bottom] = corners.subarray(4 * place, 4 * place + 4) as unknown as number[];
      const x = inside(left! / width);
      const y = inside(top! / height);
      return {
        label: this.#description.labels[classes[place]!]!,
        score: scores[place]!,
        box: { x, y, w: inside(right! / width) - x, h: inside(bottom! / height) - y },
      };
    });
  }

  close(): void {
    this.#session.release();
  }
}

function inside(fraction: number): number {
  return Math.max(0, Math.min(1, fraction));
}
