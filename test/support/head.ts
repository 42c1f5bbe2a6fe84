import { BACKBONE_KEY } from '../../src/model/head.ts';
import { DESCRIPTION_KEY } from '../../src/model/load-model.ts';
import { encodeModel } from '../../src/model/onnx.ts';
import { GraphBuilder } from '../../src/model/onnx-graph.ts';
import { Random } from '../../src/runtime/random.ts';

/** A head with random weights, in the form that scripts/train/head.py writes. */
export function headModel(options: { sha256: string; features: number; labels: string[]; seed?: number }) {
  const { sha256, features, labels, seed = 1 } = options;
  const random = new Random(seed);
  const weights = Float32Array.from({ length: labels.length * features }, () => random.gaussian());
  const bias = Float32Array.from(labels, () => random.gaussian());
  const graph = new GraphBuilder('head');
  graph.input('features', 'float', [1, features, 1, 1]);
  graph.constant('weights', weights, [labels.length, features, 1, 1]);
  graph.constant('bias', bias, [labels.length]);
  graph.node('Conv', ['features', 'weights', 'bias'], { kernel_shape: [1, 1] }, 'scores');
  graph.node('Flatten', ['scores'], { axis: 1 }, 'logits');
  graph.node('Softmax', ['logits'], { axis: 1 }, 'probabilities');
  graph.output('probabilities', [1, labels.length]);
  const description = {
    name: 'headed',
    labels,
    output: { name: 'probabilities', kind: 'probabilities' },
    events: { [labels[0]!]: { on: 0.7 } },
  };
  const model = graph.build({
    [DESCRIPTION_KEY]: JSON.stringify(description),
    [BACKBONE_KEY]: JSON.stringify({ name: 'mobilenet_v2_imagenet', sha256 }),
  });
  return { model, bytes: encodeModel(model), weights, bias };
}
