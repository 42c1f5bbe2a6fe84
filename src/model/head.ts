/**
 * A head: this project's own last layer for another publisher's network. Its input is that network's pooled features,
 * so that features learnt from millions of images serve the classes of the built-in model.
 *
 *   image ─▶ network ─▶ pooled features ─▶ Q ─▶ its own classifier        (before)
 *                                          └──▶ DQ ─▶ head ─▶ probabilities (after)
 */
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { metadata, type OnnxModel, type OnnxNode, type OnnxTensor } from './onnx.ts';
import { makeNode, makeTensor } from './onnx-graph.ts';
import { tensorData, tensorShape } from './tensor.ts';

/** Key of the metadata entry that names a head's network. */
export const BACKBONE_KEY = 'lookout_backbone';

const backbone = z.strictObject({
  /** Name in the catalogue. */
  name: z.string(),
  /** sha256 of the published file. */
  sha256: z.string(),
});

/** @throws Error if the model is not a head */
export function backboneOf(head: OnnxModel): z.infer<typeof backbone> {
  const text = metadata(head, BACKBONE_KEY);
  if (text === undefined) throw new Error(`the metadata entry ${BACKBONE_KEY} is missing`);
  try {
    return backbone.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`the metadata entry ${BACKBONE_KEY} is damaged: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Replaces the network's own classifier with the head; the result has no description. The pooled features stay
 * quantised. The head computes in floats, which is a ten-thousandth of the work.
 * @param network quantised (QDQ), with a global average pool before its classifier. It may have more features than
 *   the head takes: an import may append copies of some (see modelkit/tflite/copy-operators.ts), which the head ignores
 * @param head a 1×1 convolution of C×F×1×1 weights and C biases
 * @throws Error if the network or the head does not have this form
 */
export function withHead(network: OnnxModel, head: OnnxModel): OnnxModel {
  const { node: nodes, initializer: constants } = network.graph;
  const pool = nodes.findLast(({ opType }) => opType === 'GlobalAveragePool');
  const quantize = nodes.find(
    ({ opType, input }) => opType === 'QuantizeLinear' && input[0] === pool?.output[0],
  );
  if (!pool || !quantize) throw new Error('the network has no quantised pooled features');
  const { weights, bias, classes } = readHead(head, pooledFeatures(network, pool));
  const added = [
    makeNode('DequantizeLinear', [quantize.output[0]!, ...quantize.input.slice(1)], ['head_features']),
    makeNode('Conv', ['head_features', weights.name, bias.name], ['head_scores'], { kernel_shape: [1, 1] }),
    makeNode('Flatten', ['head_scores'], ['head_logits'], { axis: 1 }),
    makeNode('Softmax', ['head_logits'], ['probabilities'], { axis: 1 }),
  ];
  const kept = neededFor(quantize, nodes);
  const used = new Set([...kept, ...added].flatMap(({ input }) => input));
  return {
    ...network,
    metadataProps: [],
    graph: {
      ...network.graph,
      node: [...kept, ...added],
      initializer: [...constants.filter(({ name }) => used.has(name)), weights, bias],
      output: [
        {
          name: 'probabilities',
          type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 1 }, { dimValue: classes }] } } },
        },
      ],
      valueInfo: [],
    },
  };
}

/** The number of pooled features: the channels of the last convolution before the pool. */
function pooledFeatures({ graph }: OnnxModel, pool: OnnxNode): number {
  const makers = new Map(graph.node.map((node) => [node.output[0]!, node]));
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  let node: OnnxNode | undefined = pool;
  while (node && node.opType !== 'Conv') node = makers.get(node.input[0] ?? '');
  const weights = constants.get(makers.get(node?.input[1] ?? '')?.input[0] ?? '');
  const features = weights && tensorShape(weights)[0];
  if (!features) throw new Error('the network has no quantised convolution before its pool');
  return features;
}

/** Weights and biases of a head, with the weights zero-padded to the network's features. */
function readHead(head: OnnxModel, features: number) {
  const [node] = head.graph.node;
  const find = (name: string | undefined): OnnxTensor => {
    const tensor = head.graph.initializer.find((constant) => constant.name === name);
    if (!tensor) throw new Error('the head is not a single convolution');
    return tensor;
  };
  const weights = find(node?.input[1]);
  const [classes = 0, taken = 0, ...kernel] = tensorShape(weights);
  if (node?.opType !== 'Conv' || kernel.join() !== '1,1')
    throw new Error('the head is not a 1×1 convolution');
  if (taken > features) throw new Error(`the head takes ${taken} features, the network has ${features}`);
  const given = tensorData(weights) as Float32Array;
  const filled = new Float32Array(classes * features);
  for (let row = 0; row < classes; row++) {
    filled.set(given.subarray(row * taken, (row + 1) * taken), row * features);
  }
  return {
    weights: makeTensor('head_weights', filled, [classes, features, 1, 1]),
    bias: makeTensor('head_bias', tensorData(find(node.input[2])), [classes]),
    classes,
  };
}

/** A node and everything that it depends on, in graph order. */
function neededFor(last: OnnxNode, nodes: readonly OnnxNode[]): OnnxNode[] {
  const needed = new Set(last.output);
  const kept: OnnxNode[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.output.some((name) => needed.has(name))) continue;
    for (const name of node.input) needed.add(name);
    kept.push(node);
  }
  return kept.reverse();
}
