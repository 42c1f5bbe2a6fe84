/** Normalises float graphs of different exporters before they are quantised. */
import { OPSET } from '../../model/onnx-graph.ts';
import { type FloatGraph, type FloatNode, floatConstant, integers, useCounts } from './float-graph.ts';

/**
 * Updates old forms of operators, folds batch normalisation into the convolution before it and zero padding into the
 * convolution after it, turns a mean over all pixels into a global average pool, and the last convolution after it into
 * a matrix product. The results stay the same.
 */
export function simplify(graph: FloatGraph): FloatGraph {
  return multiplyLast(poolMeans(foldBorders(foldNormalisation(modernise(graph)))));
}

/** Turns attributes into inputs, as newer opsets require: Clip since opset 11, Squeeze and Unsqueeze since opset 13. */
function modernise(graph: FloatGraph): FloatGraph {
  if (graph.opset >= OPSET) return graph;
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.map((node): FloatNode => {
    const [output] = node.outputs as [string];
    const { axes, min, max, ...attributes } = node.attributes;
    if (node.op === 'Clip' && node.inputs.length === 1) {
      const bound = (given: typeof min, open: number, name: string) => {
        const value = typeof given === 'object' && 'float' in given ? given.float : open;
        constants.set(name, { data: Float32Array.of(value), dims: [] });
        return name;
      };
      const inputs = [
        node.inputs[0]!,
        bound(min, -3.4e38, `${output}_min`),
        bound(max, 3.4e38, `${output}_max`),
      ];
      return { ...node, inputs, attributes };
    }
    if ((node.op === 'Squeeze' || node.op === 'Unsqueeze') && Array.isArray(axes)) {
      const name = `${output}_axes`;
      constants.set(name, { data: BigInt64Array.from(axes as number[], BigInt), dims: [axes.length] });
      return { ...node, inputs: [node.inputs[0]!, name], attributes };
    }
    if (node.op === 'Softmax') return { ...node, attributes: { axis: 1, ...node.attributes } };
    return node;
  });
  return { ...graph, nodes, constants, opset: OPSET };
}

/** w' = w · γ / √(σ² + ε), b' = β + (b − μ) · γ / √(σ² + ε), for each channel. */
function foldNormalisation(graph: FloatGraph): FloatGraph {
  const uses = useCounts(graph);
  const constants = new Map(graph.constants);
  const folded = new Map<FloatNode, FloatNode>();
  const makers = new Map(graph.nodes.map((node) => [node.outputs[0]!, node]));
  const nodes = graph.nodes.filter((node) => {
    const convolution = makers.get(node.inputs[0] ?? '');
    if (node.op !== 'BatchNormalization' || convolution?.op !== 'Conv') return true;
    const statistics = node.inputs.slice(1, 5).map((name) => floatConstant(graph, name));
    const weights = floatConstant(graph, convolution.inputs[1]);
    if (!weights || statistics.includes(null) || uses.get(node.inputs[0]!) !== 1) return true;
    const [gamma, beta, mean, variance] = statistics as Float32Array[];
    const epsilon = node.attributes.epsilon as { float: number } | undefined;
    const channels = gamma!.length;
    const before = floatConstant(graph, convolution.inputs[2]);
    const scaled = weights.slice();
    const bias = new Float32Array(channels);
    const perChannel = weights.length / channels;
    for (let channel = 0; channel < channels; channel++) {
      const factor = gamma![channel]! / Math.sqrt(variance![channel]! + (epsilon?.float ?? 1e-5));
      for (let i = 0; i < perChannel; i++) scaled[channel * perChannel + i]! *= factor;
      bias[channel] = beta![channel]! + ((before?.[channel] ?? 0) - mean![channel]!) * factor;
    }
    const [output] = node.outputs as [string];
    const names = [`${output}_weights`, `${output}_bias`] as const;
    constants.set(names[0], { data: scaled, dims: constants.get(convolution.inputs[1]!)!.dims });
    constants.set(names[1], { data: bias, dims: [channels] });
    folded.set(convolution, {
      ...convolution,
      inputs: [convolution.inputs[0]!, ...names],
      outputs: [output],
    });
    return false;
  });
  return { ...graph, constants, nodes: nodes.map((node) => folded.get(node) ?? node) };
}

/** Frameworks that pad only one side write a Pad node, which would compute in floats. */
function foldBorders(graph: FloatGraph): FloatGraph {
  const uses = useCounts(graph);
  const pads = new Map(graph.nodes.filter(({ op }) => op === 'Pad').map((node) => [node.outputs[0]!, node]));
  const folded = new Set<FloatNode>();
  const nodes = graph.nodes.map((node): FloatNode => {
    const pad = pads.get(node.inputs[0]!);
    const borders = pad && zeroBorders(graph, pad);
    const { auto_pad = 'NOTSET', pads: own = [0, 0, 0, 0] } = node.attributes;
    if (!borders || node.op !== 'Conv' || auto_pad !== 'NOTSET' || uses.get(pad.outputs[0]!) !== 1)
      return node;
    folded.add(pad);
    const sum = (own as number[]).map((size, side) => size + borders[side]!);
    return {
      ...node,
      inputs: [pad.inputs[0]!, ...node.inputs.slice(1)],
      attributes: { ...node.attributes, pads: sum },
    };
  });
  return { ...graph, nodes: nodes.filter((node) => !folded.has(node)) };
}

/** Top, left, bottom and right of a Pad that adds zeros around rows and columns, or null. */
function zeroBorders(graph: FloatGraph, { inputs, attributes }: FloatNode): number[] | null {
  const all = graph.constants.get(inputs[1] ?? '')?.data;
  const value = inputs[2] ? floatConstant(graph, inputs[2])?.[0] : 0;
  const known = all instanceof BigInt64Array && all.length === 8 && !inputs[3];
  if (!known || value !== 0 || (attributes.mode ?? 'constant') !== 'constant') return null;
  const sides = Array.from(all, Number);
  const [batch0, channel0, top, left, batch1, channel1, bottom, right] = sides as [number, ...number[]];
  if (batch0 || channel0 || batch1 || channel1 || sides.some((side) => side < 0)) return null;
  return [top!, left!, bottom!, right!];
}

/** ReduceMean over rows and columns: exporters disagree on how to write it. */
function poolMeans(graph: FloatGraph): FloatGraph {
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.flatMap((node): FloatNode[] => {
    const axes = node.op === 'ReduceMean' ? integers(graph, node, 'axes', 1) : null;
    const positive = axes?.map((axis) => (axis < 0 ? axis + 4 : axis)).sort();
    if (positive?.join() !== '2,3') return [node];
    const [output] = node.outputs as [string];
    const keep = node.attributes.keepdims !== 0;
    const pool = { op: 'GlobalAveragePool', inputs: [node.inputs[0]!], attributes: {} };
    if (keep) return [{ ...pool, outputs: [output] }];
    const flat = { op: 'Flatten', inputs: [`${output}_pooled`], outputs: [output], attributes: { axis: 1 } };
    return [{ ...pool, outputs: [`${output}_pooled`] }, flat];
  });
  return { ...graph, constants, nodes };
}

/**
 * Turns a last convolution over one pixel into a matrix product: ONNX Runtime has a kernel for those with integer inputs
 * and float outputs.
 */
function multiplyLast(graph: FloatGraph): FloatGraph {
  const makers = new Map(graph.nodes.map((node) => [node.outputs[0]!, node]));
  const last = graph.nodes.findLast(({ op }) => op === 'Conv' || op === 'Gemm' || op === 'MatMul');
  const weights = graph.constants.get(last?.inputs[1] ?? '');
  if (last?.op !== 'Conv' || !weights || !seesPooled(makers, last)) return graph;
  const [to, from, ...kernel] = weights.dims as [number, number, ...number[]];
  const { group = 1, pads = [] } = last.attributes;
  const padded = (pads as number[]).some((pad) => pad !== 0);
  if (group !== 1 || padded || kernel.some((size) => size !== 1)) return graph;
  const [output] = last.outputs as [string];
  const [input, , bias] = last.inputs as [string, string, string | undefined];
  const names = { flat: `${output}_flat`, matrix: `${output}_matrix`, product: `${output}_product` };
  const constants = new Map(graph.constants);
  constants.set(names.matrix, { data: weights.data, dims: [to, from] });
  constants.set(`${output}_shape`, { data: BigInt64Array.of(0n, -1n, 1n, 1n), dims: [4] });
  const terms = [names.flat, names.matrix, ...(bias ? [bias] : [])];
  const product: FloatNode[] = [
    { op: 'Flatten', inputs: [input], outputs: [names.flat], attributes: { axis: 1 } },
    { op: 'Gemm', inputs: terms, outputs: [names.product], attributes: { transB: 1 } },
    { op: 'Reshape', inputs: [names.product, `${output}_shape`], outputs: [output], attributes: {} },
  ];
  return { ...graph, constants, nodes: graph.nodes.flatMap((node) => (node === last ? product : [node])) };
}

/** Whether the input comes from a global pool, possibly through an activation. */
function seesPooled(makers: ReadonlyMap<string, FloatNode>, node: FloatNode): boolean {
  const maker = makers.get(node.inputs[0]!);
  if (maker?.op === 'Relu' || maker?.op === 'Clip') return seesPooled(makers, maker);
  return maker?.op === 'GlobalAveragePool';
}
