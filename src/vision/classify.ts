import type { LoadedModel } from '../model/load.ts';
import type { PictureFormat } from '../types.ts';
import { PixelMemory } from './kernels.ts';
import { toProbabilities } from './probabilities.ts';
import { outputBytes, Resizer } from './resize.ts';
import { ModelSession, type SessionConfig } from './session.ts';
import { orientationOf, WHOLE } from './transform.ts';

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });

/** Says what is in single pictures, with the daemon's own resize and session, in the calling thread. */
export class Classifier {
  readonly #session: ModelSession;
  readonly #labels: readonly string[];
  readonly #memory = new PixelMemory();
  readonly #resizer: Resizer;
  readonly #input: Uint8Array;
  readonly #infer: () => Promise<Float32Array>;

  private constructor(session: ModelSession, { input, output, labels }: LoadedModel['description']) {
    const scores = new Float32Array(labels.length);
    this.#session = session;
    this.#labels = labels;
    this.#resizer = new Resizer(this.#memory, input);
    this.#input = new Uint8Array(outputBytes(input));
    const run = session.bind(this.#input, scores);
    this.#infer = async () => {
      await run();
      return toProbabilities(scores, output.kind);
    };
  }

  /** @throws LookoutError MODEL_* as ModelSession.open does */
  static async open(
    { file, description }: Pick<LoadedModel, 'file' | 'description'>,
    config: SessionConfig,
  ): Promise<Classifier> {
    return new Classifier(await ModelSession.open(file, description, config), description);
  }

  /**
   * The `top` most probable labels of a whole picture, squashed to the model's size; the best first. One at a time.
   */
  async classify(
    picture: { format: PictureFormat; data: Uint8Array },
    top: number,
  ): Promise<{ label: string; score: number }[]> {
    const { format, data } = picture;
    this.#memory.bytes(data.length).set(data);
    this.#resizer.resize(format, WHOLE, UPRIGHT, this.#input);
    const probabilities = await this.#infer();
    return this.#labels
      .map((label, index) => ({ label, score: probabilities[index]! }))
      .sort((a, b) => b.score - a.score)
      .slice(0, top);
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
