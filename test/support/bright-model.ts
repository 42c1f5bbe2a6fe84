import { writeFileSync } from 'node:fs';
import { DESCRIPTION_KEY } from '../../src/model/load-model.ts';
import { encodeModel } from '../../src/model/onnx.ts';
import { GraphBuilder } from '../../src/model/onnx-graph.ts';

const SIDE = 16;
/** Weight of the three colours for each label. Two products of 255 and 127 leave 16 bits, two of 255 and 64 do not. */
const WEIGHTS = { bright: 127, dark: 64 };
/** Added to `dark`: more than a clipped sum for `bright`, less than the exact one. */
const BIAS = 24_000;
/** A step of the weights' scale, and one of the answers'. */
const [STEP, ANSWER] = [1e-4, 0.05];

/** Logits for a white image where sums are exact. */
const logits = [3 * 255 * WEIGHTS.bright, 3 * 255 * WEIGHTS.dark + BIAS].map(
  (sum) => Math.round((sum * STEP) / ANSWER) * ANSWER,
);
/** What the model answers for a white image where sums are exact: `bright`, with this score. */
export const BRIGHT_SCORE = 1 / (1 + Math.exp(logits[1]! - logits[0]!));

/** Writes a quantised model that calls a white image `bright` where sums are exact, and `dark` where they are clipped. */
export function writeBrightModel(file: string): void {
  const graph = new GraphBuilder('bright');
  const input = graph.input('image', 'uint8', [1, 3, SIDE, SIDE]);
  const [bright, dark] = [WEIGHTS.bright, WEIGHTS.dark].map((weight) => [weight, weight, weight]);
  const weights = Int8Array.from([...bright!, ...dark!]);
  const sums = graph.node(
    'Conv',
    [
      graph.dequantize(input, { scale: 1, zeroPoint: 0, type: 'uint8' }),
      graph.dequantizedConstant('weights', weights, [2, 3, 1, 1], Float32Array.of(STEP)),
      graph.dequantizedConstant('biases', Int32Array.of(0, BIAS), [2], Float32Array.of(STEP)),
    ],
    { kernel_shape: [1, 1] },
  );
  const bytes = { scale: ANSWER, zeroPoint: 0, type: 'uint8' } as const;
  const pooled = graph.node('GlobalAveragePool', [graph.dequantize(graph.quantize(sums, bytes), bytes)]);
  const flat = graph.node('Flatten', [graph.dequantize(graph.quantize(pooled, bytes), bytes)], {}, 'logits');
  graph.output(flat, [1, 2]);
  const description = {
    input: { layout: 'nchw', type: 'uint8', order: 'rgb', mean: [0, 0, 0], scale: [1, 1, 1] },
    output: { name: 'logits', kind: 'logits' },
    labels: Object.keys(WEIGHTS),
  };
  writeFileSync(file, encodeModel(graph.build({ [DESCRIPTION_KEY]: JSON.stringify(description) })));
}
