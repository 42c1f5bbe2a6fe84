/** Builds members of the MobileNet families with random weights, for measuring speed only. */
import { Scene } from '../demo/scene.ts';
import { describeModel } from '../model/describe.ts';
import { descriptionFile, type ModelDescription } from '../model/description.ts';
import { DESCRIPTION_KEY } from '../model/load-model.ts';
import { encodeModel, type OnnxModel, setMetadata } from '../model/onnx.ts';
import { PixelMemory } from '../pixels/kernels.ts';
import { orientationOf, WHOLE } from '../pixels/orientation.ts';
import { outputBytes, plainBytes, Resizer } from '../pixels/resize.ts';
import { writeWhole } from '../runtime/write-file.ts';
import { buildFamily, type FamilyOptions } from './mobilenet.ts';
import { quantizeModel } from './quantize/quantize.ts';
import { type Trial, tryModel } from './trial.ts';

export interface BuildOptions extends FamilyOptions {
  precision: 'int8' | 'fp32';
  out: string;
}

export interface BuildReport {
  bytes: number;
  description: ModelDescription;
  parameters: number;
  multiplyAdds: number;
  published: Published | null;
  trial: Trial;
}

/** Published figures of a member, in millions of parameters and multiply-adds. */
export interface Published {
  parameters: number;
  multiplyAdds: number;
  where: string;
  /** Where the published figures differ from the published layers. */
  note: string | null;
}

/** Sandler et al. 2018, table 4, also for V1. Their table 2 describes the layers of V2. */
const PUBLISHED: Record<string, Published> = {
  'v1 1 224': {
    parameters: 4.2,
    multiplyAdds: 575,
    where: 'Sandler et al. 2018',
    note: 'Howard et al. 2017, who describe this network, count 4.2 M and 569 M, as Lookout does',
  },
  'v2 1 224': { parameters: 3.4, multiplyAdds: 300, where: 'Sandler et al. 2018', note: null },
  'v2 1.4 224': {
    parameters: 6.9,
    multiplyAdds: 585,
    where: 'Sandler et al. 2018',
    note: 'the layers of table 2 at width 1.4 add up to 6.06 M and 582 M, as in the authors’ list of released models; no counting or rounding rule gives all published figures',
  },
};

const CALIBRATION_IMAGES = 16;

/**
 * Builds a member, quantises it on frames of the demo scene, tests and writes it.
 * @throws LookoutError MODEL_WRITE_FAILED
 */
export async function buildModel(options: BuildOptions): Promise<BuildReport> {
  const { family, width, resolution, classes, expansion, precision } = options;
  const built = buildFamily(options);
  const model = precision === 'fp32' ? built.model : await quantized(built.model, resolution);
  const name = `mobilenet_${family}_${width}_${resolution}_${precision}_random`;
  const content = descriptionFile.parse({
    name,
    output: { name: 'probabilities' },
    embedding: options.embedding ? { name: 'embedding', size: built.features } : null,
    labels: Array.from({ length: classes }, (_, index) => `class ${index}`),
    warning: 'Random weights: this model is for measuring speed; its results are meaningless.',
    licence: 'Apache-2.0',
  });
  const description = describeModel(model.graph, name, name, { source: name, content }, { beside: [] });
  setMetadata(model, DESCRIPTION_KEY, JSON.stringify(description));
  const bytes = encodeModel(model);
  const trial = await tryModel(bytes, description);
  await writeWhole(options.out, bytes);
  const { parameters, multiplyAdds } = built;
  const asPublished = family === 'v1' || expansion === 6;
  const published =
    (asPublished && classes === 1000 && PUBLISHED[`${family} ${width} ${resolution}`]) || null;
  return { bytes: bytes.length, description, parameters, multiplyAdds, published, trial };
}

async function quantized(model: OnnxModel, resolution: number): Promise<OnnxModel> {
  const content = descriptionFile.parse({ output: { name: 'probabilities' } });
  const { input } = describeModel(
    model.graph,
    'built',
    'built',
    { content, source: 'built' },
    { beside: [] },
  );
  const output = { name: 'probabilities', kind: 'probabilities' } as const;
  const options = { output, methods: ['minmax'], maxFloatShare: 0 } as const;
  return (await quantizeModel(model, input, calibrationImages(resolution), options)).models.cpu.model;
}

/** Images to measure the ranges of activations with. */
function calibrationImages(resolution: number): Uint8Array[] {
  const [width, height] = [320, 240];
  const scene = new Scene(width, height, 1);
  const memory = new PixelMemory();
  const output = { ...plainBytes(3), width: resolution, height: resolution };
  const resizer = new Resizer(memory, output);
  const format = { width, height, pixels: 'i420', colour: 'bt601' } as const;
  return Array.from({ length: CALIBRATION_IMAGES }, (_, index) => {
    scene.render(index * 4000, memory.bytes(scene.bytes).subarray(0, scene.bytes));
    const pixels = new Uint8Array(outputBytes(output));
    resizer.resize(format, WHOLE, orientationOf({ rotate: 0, mirror: 'none' }), pixels);
    return pixels;
  });
}
