import type { LoadedModel } from '../model/load-model.ts';
import { PixelMemory } from '../pixels/kernels.ts';
import { orientationOf, WHOLE } from '../pixels/orientation.ts';
import { outputBytes, Resizer } from '../pixels/resize.ts';
import type { FrameFormat } from '../types.ts';
import { ModelSession, type SessionConfig } from './inference-session.ts';
import { toProbabilities } from './probabilities.ts';

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });

/** Classifies single images with the daemon's resize and session, in the calling thread. */
export class Classifier {
  readonly #session: ModelSession;
  readonly #labels: readonly string[];
  readonly #memory = new PixelMemory();
  readonly #resizer: Resizer;
  readonly #input: Uint8Array;
  readonly #infer: () => Float32Array;

  private constructor(session: ModelSession, { input, output, labels }: LoadedModel['description']) {
    const scores = new Float32Array(labels.length);
    this.#session = session;
    this.#labels = labels;
    this.#resizer = new Resizer(this.#memory, input);
    this.#input = new Uint8Array(outputBytes(input));
    const run = session.bind(this.#input, scores);
    this.#infer = () => {
      run();
      return toProbabilities(scores, output.kind);
    };
  }

  /** @throws LookoutError MODEL_*, like ModelSession.open */
  static open(
    { file, description }: Pick<LoadedModel, 'file' | 'description'>,
    config: SessionConfig,
  ): Classifier {
    return new Classifier(ModelSession.open(file, description, config), description);
  }

  /** The `top` most probable labels of an entire image, squashed to the model's input size; the best first. */
  classify(
    { format, data }: { format: FrameFormat; data: Uint8Array },
    top: number,
  ): { label: string; score: number }[] {
    this.#memory.bytes(data.length).set(data);
    this.#resizer.resize(format, WHOLE, UPRIGHT, this.#input);
    const probabilities = this.#infer();
    return this.#labels
      .map((label, index) => ({ label, score: probabilities[index]! }))
      .sort((a, b) => b.score - a.score)
      .slice(0, top);
  }

  close(): void {
    this.#session.release();
  }
}
