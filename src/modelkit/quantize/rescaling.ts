/** Handles models that scale the levels of the image themselves, with layers like Keras' Rescaling and Normalization. */
import { type FloatGraph, type FloatNode, floatConstant, useCounts } from './float-graph.ts';
import { isTurned, type PixelForm } from './input-pixels.ts';

/** A node's function of x for each channel: factor · x + shift. */
interface Line {
  factor: number[];
  shift: number[];
}

/**
 * Removes the first additions of and multiplications by constants from a model and folds them into its mean and scale, so
 * that the integers of the image are the direct input of the first convolution.
 */
export function withoutRescaling(graph: FloatGraph, form: PixelForm): { graph: FloatGraph; form: PixelForm } {
  if (graph.input.type !== 'float') return { graph, form };
  const uses = useCounts(graph);
  const removed = new Map<FloatNode, string>();
  let { mean, scale } = form;
  let channelsLast = form.layout === 'nhwc';
  let value = graph.input.name;
  for (;;) {
    const user = uses.get(value) === 1 ? graph.nodes.find(({ inputs }) => inputs.includes(value)) : undefined;
    const [output] = user?.outputs ?? [];
    if (!user || output === undefined) break;
    if (isTurned(graph, user)) channelsLast = false;
    else {
      const line = lineOf(graph, user, value, form.channels, channelsLast);
      if (!line?.factor.every((factor) => factor !== 0)) break;
      const before = scale;
      mean = mean.map(
        (own, channel) => own - line.shift[channel]! / line.factor[channel]! / before[channel]!,
      );
      scale = scale.map((own, channel) => own * line.factor[channel]!);
      removed.set(user, value);
    }
    value = output;
  }
  const renamed = new Map<string, string>();
  const nodes = graph.nodes.flatMap((node): FloatNode[] => {
    const inputs = node.inputs.map((name) => renamed.get(name) ?? name);
    const given = removed.get(node);
    if (given === undefined) return [{ ...node, inputs }];
    renamed.set(node.outputs[0]!, renamed.get(given) ?? given);
    return [];
  });
  return { graph: { ...graph, nodes }, form: { ...form, mean, scale } };
}

function lineOf(
  graph: FloatGraph,
  { op, inputs }: FloatNode,
  value: string,
  channels: number,
  channelsLast: boolean,
): Line | null {
  const [first, second] = inputs;
  const turned = second === value;
  const name = turned ? first : second;
  const constant = graph.constants.get(name ?? '');
  const numbers = floatConstant(graph, name);
  if (!constant || !numbers || inputs.length !== 2) return null;
  // One number for all channels, or one for each along the channel axis.
  const fromEnd = constant.dims.length - (channelsLast ? 1 : 3);
  if (numbers.length !== 1 && (numbers.length !== channels || constant.dims[fromEnd] !== channels))
    return null;
  const each = Array.from({ length: channels }, (_, channel) => numbers[channel] ?? numbers[0]!);
  const ones = each.map(() => 1);
  const zeros = each.map(() => 0);
  if (op === 'Mul') return { factor: each, shift: zeros };
  if (op === 'Add') return { factor: ones, shift: each };
  if (op === 'Sub' && !turned) return { factor: ones, shift: each.map((number) => -number) };
  if (op === 'Div' && !turned) return { factor: each.map((number) => 1 / number), shift: zeros };
  return null;
}
