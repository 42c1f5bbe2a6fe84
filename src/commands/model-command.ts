import { type Command, Option } from 'commander';
import type { Source } from '../capture/source.ts';
import { LookoutError } from '../errors.ts';
import type { BoxDescription } from '../model/boxes.ts';
import type { ModelDescription } from '../model/description.ts';
import { INPUT_RANGES, type InputRange } from '../model/input-range.ts';
import { inputShape } from '../model/input-shape.ts';
import type { BuildOptions } from '../modelkit/build.ts';
import type { GuessedRange } from '../modelkit/quantize/guess-range.ts';
import type { Trial } from '../modelkit/trial.ts';
import { modelLibraryCommands } from './model-library-command.ts';
import { configFile, integer, number } from './options.ts';
import { showShare } from './progress-bar.ts';
import { printRows, type Row } from './text-output.ts';

/** `lookout model …` */
export function modelCommand(program: Command): void {
  const model = program
    .command('model')
    .description('add, import, quantise, build and inspect models')
    .addHelpText('after', '\nExamples:\n  $ lookout model list\n  $ lookout model add mobilenet_v2_imagenet');
  modelLibraryCommands(model);
  model
    .command('inspect')
    .description('show the inputs, outputs, labels and operators of a model')
    .argument('[file]', '`builtin`, an added model, or an .onnx file', 'builtin')
    .option('-c, --config <file>', 'configuration whose `data_dir` contains the added models')
    .option('--labels <file>', 'label file for a model without labels, one label per line')
    .option('--description <file>', 'description (.json) for a model without one')
    .option('--json', 'print the result as one JSON object')
    .addHelpText('after', '\nExample:\n  $ lookout model inspect birds.onnx')
    .action(inspect);
  model
    .command('import')
    .description('convert a fully quantised TensorFlow Lite classifier or SSD detector to an ONNX model')
    .argument('<file>', 'a .tflite file')
    .option('-o, --out <file>', 'file to write; by default next to the input file, as .onnx')
    .option('--labels <file>', 'labels, one per line; by default those inside the input file or next to it')
    .option('--description <file>', 'description (.json) of what the input file does not contain')
    .option('--embedding', 'add the pooled features as the output `embedding`')
    .addHelpText(
      'after',
      '\nExample:\n  $ lookout model import mobilenet_v2_1.0_224_quant.tflite --out birds.onnx',
    )
    .action(importModel);
  model
    .command('quantize')
    .description('quantise a float model to int8, for the CPU and for TensorRT, with your own image files')
    .argument('<file>', 'an .onnx file, float or already quantised, or a .tflite file')
    .option('--calibrate <folder>', 'folder with a few hundred image files of what the camera sees')
    .option('--from-camera <name>', 'take frames of this camera of the configuration instead')
    .option('-c, --config <file>', 'configuration with the camera; by default $LOOKOUT_CONFIG')
    .option('--pictures <count>', 'maximum number of images, 1…2000', integer(1, 2000), 200)
    .option(
      '-o, --out <file>',
      'file to write; by default next to the input file, as .int8.onnx and .int8.tensorrt.onnx',
    )
    .option('--labels <file>', 'label file for a model without labels, one label per line')
    .option('--description <file>', 'description (.json) for a model without one')
    .addOption(
      new Option(
        '--input-range <range>',
        'value range of the input of a float model, if neither the file nor a description defines it',
      ).choices(INPUT_RANGES),
    )
    .option(
      '--float-share <share>',
      'fraction of the multiplications that the first layers may compute in float, 0…1; with 0, scores are equal on all processors',
      number(0, 1),
      0.1,
    )
    .option('--json', 'print the result as one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lookout model quantize trained.onnx --calibrate pictures\n  $ lookout model quantize trained.onnx --from-camera garden\n\nTeachable Machine, TensorFlow Lite › Floating point:\n  $ lookout model quantize model_unquant.tflite --labels labels.txt --calibrate pictures',
    )
    .action(quantize);
  model
    .command('build')
    .description('build a MobileNet with random weights, to measure how fast it runs on this board')
    .addOption(new Option('--family <name>', 'MobileNet version').choices(['v1', 'v2']).default('v2'))
    .option(
      '--width <multiplier>',
      'channels as a multiple of those of the full model, 0.1…2',
      number(0.1, 2),
      1,
    )
    .option('--resolution <pixels>', 'width and height of the input, 32…512', integer(32, 512), 224)
    .option('--classes <count>', 'number of classes, 2…100000', integer(2, 100_000), 1000)
    .option('--expansion <factor>', 'expansion factor of the blocks (v2), 1…12', integer(1, 12), 6)
    .addOption(
      new Option('--precision <type>', 'type of weights and activations')
        .choices(['int8', 'fp32'])
        .default('int8'),
    )
    .option('--seed <number>', 'random seed of the weights', integer(0, 2 ** 31), 1)
    .option('--embedding', 'add the pooled features as the output `embedding`')
    .option('-o, --out <file>', 'file to write; by default in the current folder, named after its properties')
    .addHelpText('after', '\nExample:\n  $ lookout model build --width 0.35 --resolution 96 --classes 4')
    .action(build);
}

interface QuantizeOptions {
  calibrate?: string;
  fromCamera?: string;
  config?: string;
  pictures: number;
  out?: string;
  labels?: string;
  description?: string;
  inputRange?: InputRange;
  floatShare: number;
  json?: true;
}

async function quantize(
  file: string,
  { calibrate, fromCamera, config, pictures, inputRange: range, json, ...options }: QuantizeOptions,
): Promise<void> {
  const { quantizeFile } = await import('../modelkit/quantize-file.ts');
  const { imagesInFolder, imagesFromCamera } = await import('../modelkit/calibration.ts');
  if ((calibrate === undefined) === (fromCamera === undefined)) {
    throw new LookoutError(
      'USAGE',
      'lookout model quantize: expected --calibrate <folder> or --from-camera <name>',
    );
  }
  const report = await quantizeFile({
    file,
    ...options,
    range,
    images: async (input) =>
      calibrate !== undefined
        ? imagesInFolder(calibrate, input, pictures)
        : imagesFromCamera(await cameraSource(fromCamera!, config), input, pictures),
    ...showShare(process.stderr, 'calibrating'),
  });
  if (json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const { cpu, tensorrt, source, result } = report;
  const [chosen] = result.choices;
  const worst = [...result.layers].sort((a, b) => a.decibels - b.decibels).slice(0, 3);
  printRows([
    ['wrote', `${cpu.file}, ${cpu.bytes} bytes, for the CPU`],
    ['', `${tensorrt.file}, ${tensorrt.bytes} bytes, for TensorRT`],
    ...summary(report.description),
    ['assumed', report.assumed && ASSUMED[report.assumed]],
    ['images', `${report.images}, ${result.holdout} of them held out for measurement`],
    [
      'ranges',
      `${chosen!.ranges}${chosen!.equalised ? ', equalised' : ''}: signal-to-noise ratio ${chosen!.decibels.toFixed(1)} dB`,
    ],
    ['in float', floatLayers(chosen!.float)],
    [
      'agreement',
      `${percent(result.agreement.cpu)} of the images get the same top-1 label as with the float model; for TensorRT ${percent(result.agreement.tensorrt)}`,
    ],
    ['weakest', worst.map(({ name, decibels }) => `${name} ${decibels.toFixed(1)} dB`).join(', ')],
    ['size', `${source.bytes} → ${cpu.bytes} bytes`],
    ['speed', `${source.milliseconds.toFixed(1)} → ${cpu.trial.milliseconds.toFixed(1)} ms with one thread`],
    ...trialRows(cpu.trial),
  ]);
}

/** Explains a guessed input range. */
const ASSUMED: Record<GuessedRange, string> = {
  '-1..1':
    'pixels 0…255 are scaled to −1…1, as in Teachable Machine and most of Keras; if this is wrong, set --input-range',
  '0..255': 'pixels stay 0…255, because the model scales them itself; if this is wrong, set --input-range',
};

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function floatLayers({ layers, share }: { layers: readonly string[]; share: number }): string | null {
  if (layers.length === 0) return null;
  return `the first ${layers.length} layers, ${percent(share)} of the multiplications`;
}

async function cameraSource(name: string, config: string | undefined): Promise<Source> {
  const { loadConfig } = await import('../config/load-config.ts');
  const { createSource } = await import('../capture/create.ts');
  const { createLogger } = await import('../runtime/logger.ts');
  const { systemClock } = await import('../runtime/clock.ts');
  const loaded = loadConfig({ file: configFile(config) });
  const camera = Object.hasOwn(loaded.config.cameras, name) ? loaded.config.cameras[name] : undefined;
  if (!camera) {
    const known = Object.keys(loaded.config.cameras).join(', ');
    throw new LookoutError(
      'USAGE',
      `--from-camera ${name}: expected one of the configured cameras (${known})`,
    );
  }
  return createSource(camera.source, {
    clock: systemClock,
    log: createLogger({ ...loaded.config.log, fd: 2 }),
  });
}

async function build({ out, ...options }: Omit<BuildOptions, 'out'> & { out?: string }): Promise<void> {
  const { buildModel } = await import('../modelkit/build.ts');
  const { family, width, resolution, precision } = options;
  const file = out ?? `mobilenet_${family}_${width}_${resolution}_${precision}_random.onnx`;
  const { bytes, description, parameters, multiplyAdds, published, trial } = await buildModel({
    ...options,
    out: file,
  });
  const millions = (count: number) => `${(count / 1e6).toFixed(2)} M`;
  const compared = (value: number | undefined) => (published ? ` (${published.where}: ${value} M)` : '');
  printRows([
    ['wrote', `${file}, ${bytes} bytes`],
    ...summary(description),
    ['parameters', `${millions(parameters)}${compared(published?.parameters)}`],
    ['mult-adds', `${millions(multiplyAdds)}${compared(published?.multiplyAdds)}`],
    ['note', published?.note ?? null],
    ...trialRows(trial),
  ]);
}

function trialRows({ fused, milliseconds }: Trial): Row[] {
  return [
    ['cpu', fused && `${total(fused)} nodes after fusing: ${counted(fused)}`],
    ['test run', `${milliseconds.toFixed(1)} ms with one thread`],
  ];
}

async function importModel(
  file: string,
  options: { out?: string; labels?: string; description?: string; embedding?: true },
): Promise<void> {
  const { importTflite } = await import('../modelkit/import.ts');
  const { out, bytes, description, operators, trial } = await importTflite({ file, ...options });
  printRows([
    ['wrote', `${out}, ${bytes} bytes`],
    ...summary(description),
    ['operators', counted(operators)],
    ...trialRows(trial),
  ]);
}

async function inspect(
  file: string,
  { json, config: named, ...files }: { config?: string; labels?: string; description?: string; json?: true },
): Promise<void> {
  const { loadConfig } = await import('../config/load-config.ts');
  const { modelFile } = await import('../config/names.ts');
  const { chooseModel } = await import('../model/builtin.ts');
  const { inspectModel } = await import('../modelkit/inspect.ts');
  const { config } = loadConfig({ file: configFile(named) });
  const settings = { ...config.model, file: modelFile(file, '', config.data_dir) };
  const chosen = await chooseModel(settings, { dataDir: config.data_dir });
  const found = await inspectModel({ ...files, file: chosen.file }, '');
  if (json) {
    process.stdout.write(`${JSON.stringify(found)}\n`);
    return;
  }
  printRows([
    ['file', `${found.file}, ${found.bytes} bytes`],
    ['chosen', chosen.note?.text ?? null],
    ['sha256', found.sha256],
    ['producer', `${found.producer}, opset ${found.opset}`],
    ...summary(found.description),
    ['operators', counted(found.operators)],
  ]);
}

function summary({ name, input, output, labels, ...rest }: ModelDescription): Row[] {
  const shown = labels.length > 8 ? `${labels.slice(0, 8).join(' · ')} …` : labels.join(' · ');
  return [
    ['name', name],
    ['task', rest.task === 'detect' ? 'finds objects' : null],
    ['input', `${input.name}: ${input.type} ${inputShape(input).join('×')} ${colours(input)}`],
    ['pixels', `(pixel − ${perChannel(input.mean)}) × ${perChannel(input.scale)}`],
    ['output', `${output.name}: ${output.kind} of ${labels.length} classes`],
    ['boxes', rest.boxes ? boxesText(rest.boxes) : null],
    ['embedding', rest.embedding ? `${rest.embedding.name}: ${rest.embedding.size} numbers` : null],
    ['labels', shown],
    ['background', rest.background.join(' · ') || null],
    ['events', Object.keys(rest.events).join(' · ') || null],
    ['source', rest.source ? `${rest.source.file}, sha256 ${rest.source.sha256}` : null],
    ['licence', rest.licence],
    ['warning', rest.warning],
  ];
}

function boxesText({ output, coding, anchors, scales, score, overlap, suppression }: BoxDescription): string {
  const { y, x, h, w } = scales;
  const places =
    coding === 'grid' ? 'a grid' : `${anchors.length / 4} anchors, scales ${[y, x, h, w].join(', ')}`;
  const kind = suppression === 'class' ? 'of one class' : 'of any class';
  return `${output}: ${coding}, ${places}; score ≥ ${score}, boxes ${kind} overlap ≤ ${overlap}`;
}

function colours({ channels, order }: ModelDescription['input']): string {
  return channels === 1 ? 'grey' : order.toUpperCase();
}

function perChannel(values: readonly number[]): string {
  return values.every((value) => value === values[0]) ? String(values[0]) : values.join(' / ');
}

function total(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function counted(counts: Record<string, number>): string {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}
