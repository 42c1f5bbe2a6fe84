/**
 * Makes models/demo.onnx, the built-in stand-in: a small MobileNetV2 that knows the demo scene and nothing else.
 *
 *   node scripts/demo-model.ts [--scenes 500] [--steps 2600] [--out models/demo.onnx]
 *
 * Renders the scene with many seeds, cuts out what the daemon would cut out, trains, quantises with the project's
 * own quantiser, and measures the int8 model on seeds that it has not seen. Needs nothing but this project; takes
 * about half an hour on two cores. The same arguments give the same pictures and starting weights.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describeModel } from '../src/model/describe.ts';
import { DESCRIPTION_KEY } from '../src/model/load.ts';
import { buildFamily } from '../src/model/mobilenet.ts';
import { encodeModel, type OnnxModel, setMetadata } from '../src/model/onnx.ts';
import { quantizeModel } from '../src/model/quantize/quantize.ts';
import { tensorData } from '../src/model/tensor.ts';
import { LABELS, type Sample, samplesOf } from './demo-model/samples.ts';
import { train } from './demo-model/train.ts';
import { watch } from './demo-model/watch.ts';

const SIDE = 96;
const WIDTH = 0.35;
/** Seeds of the scene. What is measured at the end was seen neither in training nor while choosing anything. */
const SEEDS = { train: 10_000, calibrate: 500_000, temper: 600_000, test: 900_000 };

const { values } = parseArgs({
  options: {
    scenes: { type: 'string', default: '500' },
    steps: { type: 'string', default: '2600' },
    out: { type: 'string', default: 'models/demo.onnx' },
  },
});

const log = (message: string) => process.stdout.write(`${message}\n`);

const family = buildFamily({
  family: 'v2',
  width: WIDTH,
  resolution: SIDE,
  classes: LABELS.length,
  expansion: 6,
  seed: 7,
});
log(`MobileNetV2 ${WIDTH}/${SIDE}: ${family.parameters} parameters, ${family.multiplyAdds} multiply-adds`);

const samples = collect(SEEDS.train, Number(values.scenes), 24);
log(`${samples.length} training samples from ${values.scenes} seeds`);
await train(family, samples, {
  batch: 32,
  steps: Number(values.steps),
  rate: 4e-3,
  decay: 0.02,
  seed: 1,
  log,
});

const temperature = await fitTemperature(family.model, collect(SEEDS.temper, 40, 24));
cool(family.model, family.layers.at(-1)!, temperature);
log(`temperature ${temperature.toFixed(2)}`);

const calibration = collect(SEEDS.calibrate, 40, 12).map(({ pixels }) => pixels);
const { input } = describeModel(family.model.graph, 'demo', 'demo', null, { beside: [] });
const quantized = await quantizeModel(family.model, input, calibration, { output: 'probabilities', log });
const int8 = quantized.models.cpu.model;
setMetadata(int8, DESCRIPTION_KEY, JSON.stringify(description()));
const bytes = encodeModel(int8);
mkdirSync(dirname(values.out), { recursive: true });
writeFileSync(values.out, bytes);
log(`${values.out}: ${bytes.length} bytes`);

const test = collect(SEEDS.test, 120, 24);
const float = await evaluate(encodeModel(family.model), test);
log(`float model on ${test.length} held-out samples: ${percent(float.accuracy)}`);
report('int8 model on the same', await evaluate(bytes, test));
const moving = Array.from({ length: 30 }, (_, scene) => [...watch(SEEDS.test + scene, SIDE)]).flat();
report(`int8 model on ${moving.length} regions that moved in 30 minutes`, await evaluate(bytes, moving));

function report(what: string, result: Awaited<ReturnType<typeof evaluate>>): void {
  log(`${what}: ${percent(result.accuracy)}`);
  for (const [group, { right, all }] of Object.entries(result.groups).sort())
    log(`  ${group}: ${right} of ${all}`);
  log(`  mean score of the right label ${result.confidence.toFixed(3)}`);
  log(`  expected calibration error ${result.calibrationError.toFixed(3)}`);
}

function description() {
  return {
    name: 'demo',
    labels: [...LABELS],
    background: ['nothing'],
    events: { person: {}, car: {}, cat: {} },
    warning:
      'This is a stand-in: it was trained on the rendered demo scene alone and knows nothing of real pictures. ' +
      'For a real camera name a real model in `model.file`.',
    licence: 'Apache-2.0',
  };
}

function collect(seed: number, scenes: number, each: number): Sample[] {
  return Array.from({ length: scenes }, (_, scene) => [...samplesOf(seed + scene, SIDE, each)]).flat();
}

async function predict(model: Uint8Array, set: readonly Sample[], output: string): Promise<Float32Array[]> {
  const session = await InferenceSession.create(model);
  const answers: Float32Array[] = [];
  for (const { pixels } of set) {
    const result = await session.run({ image: new Tensor('uint8', pixels, [1, SIDE, SIDE, 3]) });
    answers.push(Float32Array.from(result[output]!.data as Float32Array));
  }
  await session.release();
  return answers;
}

async function evaluate(model: Uint8Array, set: readonly Sample[]) {
  const groups: Record<string, { right: number; all: number }> = {};
  const bins = Array.from({ length: 10 }, () => ({ count: 0, score: 0, right: 0 }));
  let confidence = 0;
  for (const [index, probabilities] of (await predict(model, set, 'probabilities')).entries()) {
    const { label, kind } = set[index]!;
    const top = Math.max(...probabilities);
    const right = Number(probabilities.indexOf(top) === label);
    groups[`${LABELS[label]} (${kind})`] ??= { right: 0, all: 0 };
    const group = groups[`${LABELS[label]} (${kind})`]!;
    group.right += right;
    group.all++;
    const bin = bins[Math.min(9, Math.floor(top * 10))]!;
    bin.count++;
    bin.score += top;
    bin.right += right;
    confidence += probabilities[label]! / set.length;
  }
  const accuracy = Object.values(groups).reduce((sum, { right }) => sum + right, 0) / set.length;
  const calibrationError =
    bins.reduce((sum, { score, right }) => sum + Math.abs(score - right), 0) / set.length;
  return { accuracy, groups, confidence, calibrationError };
}

/** The temperature that makes scores most honest (Guo et al. 2017): least cross-entropy on fresh samples. */
async function fitTemperature(model: OnnxModel, set: readonly Sample[]): Promise<number> {
  const probabilities = await predict(encodeModel(model), set, 'probabilities');
  const logits = probabilities.map((row) => row.map((p) => Math.log(Math.max(p, 1e-12))));
  const loss = (temperature: number) =>
    logits.reduce((sum, row, index) => {
      const scaled = row.map((value) => value / temperature);
      const top = Math.max(...scaled);
      const total = scaled.reduce((acc, value) => acc + Math.exp(value - top), 0);
      return sum - (scaled[set[index]!.label]! - top - Math.log(total));
    }, 0);
  const candidates = Array.from({ length: 60 }, (_, i) => 0.2 * 1.05 ** i);
  return candidates.reduce((best, candidate) => (loss(candidate) < loss(best) ? candidate : best));
}

/** Divides the logits by `temperature`, in the last layer's weights. */
function cool(model: OnnxModel, layer: { weights: string; bias: string }, temperature: number): void {
  for (const tensor of model.graph.initializer) {
    if (tensor.name !== layer.weights && tensor.name !== layer.bias) continue;
    const cooled = (tensorData(tensor) as Float32Array).map((value) => value / temperature);
    tensor.rawData = new Uint8Array(cooled.buffer);
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
