/**
 * The same model and the same JPEG frames through `@huggingface/transformers`, end to end. The package is large and
 * used for nothing else, so it is installed in a folder for temporary files when this row is wanted.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import type { LoadedModel } from '../../src/model/load-model.ts';
import { DataType, decodeModel, encodeModel } from '../../src/model/onnx.ts';
import { makeNode, makeTensor } from '../../src/model/onnx-graph.ts';
import { WarmDaemon } from './daemon.ts';
import { replayCamera, type Settings, writeConfig, writePhotos } from './settings.ts';
import { takeTurns } from './speed.ts';
import type { Row } from './table.ts';

const VERSION = '4.3.1';
const HOME = join(tmpdir(), `lookout-bench-transformers-${VERSION}`);
const WHAT = 'against @huggingface/transformers, same model and JPEG frames';
const LIMIT = { atLeast: 4 };

/** How many times as many frames per second Lookout gets through. */
export async function transformersRow(settings: Settings, model: LoadedModel): Promise<Row> {
  const { input } = model.description;
  if (input.layout !== 'nhwc' || input.type !== 'uint8') {
    return { what: WHAT, measured: `the model takes ${input.type} ${input.layout}`, limit: LIMIT };
  }
  try {
    await install(settings.say);
  } catch (error) {
    return { what: WHAT, measured: messageOf(error).split('\n')[0]!, limit: LIMIT };
  }
  const photos = join(settings.folder, 'photos');
  mkdirSync(photos);
  const files = await writePhotos(photos);
  const home = join(settings.folder, 'transformers');
  writeModel(home, model);
  const theirs = await start(home, files);
  const config = writeConfig(settings, 'jpeg', {
    // Half of the cores for the model, as by default: the others decode.
    threads: 0,
    cameras: { bench: replayCamera(photos) },
  });
  const ours = await WarmDaemon.start(settings.broker, config);
  const turns = await takeTurns(
    settings,
    'JPEG files, transformers',
    async (seconds) => (await ours.measure(seconds)).fps,
    (seconds) => theirs.run(seconds),
  );
  await ours.stop();
  await theirs.stop();
  return { what: WHAT, measured: turns.map(([first, second]) => first / second), limit: LIMIT };
}

async function install(say: (line: string) => void): Promise<void> {
  if (existsSync(join(HOME, 'node_modules/@huggingface/transformers'))) return;
  say(`installing @huggingface/transformers ${VERSION} in ${HOME}`);
  mkdirSync(HOME, { recursive: true });
  writeFileSync(join(HOME, 'package.json'), '{ "private": true, "type": "module" }\n');
  const what = `@huggingface/transformers@${VERSION}`;
  await promisify(execFile)('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', what], {
    cwd: HOME,
  });
}

/** Writes the model as that library wants it: normalised floats in planes come in, and the first layers undo that. */
function writeModel(home: string, { file, description }: LoadedModel): void {
  const { input, output, labels } = description;
  const { width, height } = input;
  const model = decodeModel(readFileSync(file));
  const { graph } = model;
  // That library reads the output `logits`; a tensor or node of that name makes way.
  const renamed = (name: string) => (name === 'logits' ? 'own_logits' : name);
  for (const node of graph.node) {
    node.name = renamed(node.name ?? '');
    node.input = node.input.map(renamed);
    node.output = node.output.map(renamed);
  }
  graph.initializer.push(makeTensor('to_levels', new Float32Array([127.5]), [1]));
  graph.node.unshift(
    makeNode('Transpose', ['pixel_values'], ['pixels'], { perm: [0, 2, 3, 1] }),
    makeNode('Mul', ['pixels', 'to_levels'], ['centred']),
    makeNode('Add', ['centred', 'to_levels'], ['levels']),
    makeNode('Cast', ['levels'], [input.name], { to: DataType.uint8 }),
  );
  graph.node.push(makeNode('Identity', [renamed(output.name)], ['logits']));
  const value = (name: string, shape: number[]) => ({
    name,
    type: {
      tensorType: { elemType: DataType.float, shape: { dim: shape.map((dimValue) => ({ dimValue })) } },
    },
  });
  graph.input = [value('pixel_values', [1, 3, height, width])];
  graph.output = [value('logits', [1, labels.length])];
  mkdirSync(join(home, 'model/onnx'), { recursive: true });
  const write = (name: string, content: string | Uint8Array) =>
    writeFileSync(join(home, 'model', name), content);
  write('onnx/model.onnx', encodeModel(model));
  const id2label = Object.fromEntries(labels.map((label, index) => [index, label]));
  write(
    'config.json',
    JSON.stringify({
      model_type: 'mobilenet_v2',
      architectures: ['MobileNetV2ForImageClassification'],
      id2label,
    }),
  );
  write(
    'preprocessor_config.json',
    JSON.stringify({
      ...{ image_processor_type: 'ViTImageProcessor', do_resize: true, size: { width, height }, resample: 2 },
      ...{ do_rescale: true, rescale_factor: 1 / 255 },
      ...{ do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] },
    }),
  );
}

/** The library in a separate process, which works for the number of seconds that each request contains. */
async function start(home: string, files: readonly string[]) {
  const script = join(HOME, 'classify.mjs');
  writeFileSync(
    script,
    `import { env, pipeline } from '@huggingface/transformers';
import { createInterface } from 'node:readline';
const { home, files } = JSON.parse(process.argv[2]);
env.allowRemoteModels = false;
env.localModelPath = home;
const classify = await pipeline('image-classification', 'model', { dtype: 'fp32', device: 'cpu' });
for (const file of files.slice(0, 10)) await classify(file);
console.log('ready');
for await (const seconds of createInterface({ input: process.stdin })) {
  const began = performance.now();
  let count = 0;
  while (performance.now() - began < 1000 * seconds) await classify(files[count++ % files.length]);
  console.log((1000 * count) / (performance.now() - began));
}
`,
  );
  const child = spawn(process.execPath, [script, JSON.stringify({ home, files })], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the process of @huggingface/transformers ended');
    return value;
  };
  await next();
  return {
    run: async (seconds: number) => {
      child.stdin.write(`${seconds}\n`);
      return Number(await next());
    },
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
