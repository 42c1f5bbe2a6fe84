/** Guesses a float model's input range from its first convolution. */
import type { InputRange } from '../../model/input-range.ts';
import type { OnnxModel } from '../../model/onnx.ts';
import { floatConstant, readFloatGraph } from './float-graph.ts';
import { isTurned } from './input-pixels.ts';
import { withoutRescaling } from './rescaling.ts';
import { simplify } from './simplify.ts';

/**
 * If the largest filter norm of the first convolution is below this, its input is levels of 0…255. The norm is at least
 * 0.3, even before training, in networks with inputs of about 1, and at most 0.1 where it is divided by 127.5 or 255, as
 * in networks with a Rescaling layer.
 */
const LEAST_FILTER = 0.2;

export type GuessedRange = Exclude<InputRange, '0..1'>;

/**
 * `0..255` for a model that scales the levels itself, with its own layers or in its first weights, into which
 * converters fold such layers; else the usual `-1..1`.
 */
export function guessRange(model: OnnxModel, layout: 'nhwc' | 'nchw', channels: 1 | 3): GuessedRange {
  const each = (value: number) => new Array<number>(channels).fill(value);
  const graph = simplify(readFloatGraph(model));
  const form = {
    name: graph.input.name,
    type: 'float32',
    layout,
    channels,
    mean: each(0),
    scale: each(1),
  } as const;
  const plain = withoutRescaling(graph, form);
  const [first] = plain.graph.nodes;
  const value = first && isTurned(plain.graph, first) ? first.outputs[0]! : graph.input.name;
  const user = plain.graph.nodes.find(({ inputs }) => inputs[0] === value);
  const weights = user?.op === 'Conv' ? floatConstant(plain.graph, user.inputs[1]) : null;
  if (!user || !weights) return '-1..1';
  const [filters = 1, , ...window] = plain.graph.constants.get(user.inputs[1]!)!.dims;
  const area = window.reduce((product, size) => product * size, 1);
  const sizes = new Float64Array(filters);
  for (const [index, weight] of weights.entries()) {
    const channel = Math.floor(index / area) % channels;
    sizes[Math.floor((index * filters) / weights.length)]! += (weight * plain.form.scale[channel]!) ** 2;
  }
  return Math.sqrt(Math.max(...sizes)) < LEAST_FILTER ? '0..255' : '-1..1';
}
