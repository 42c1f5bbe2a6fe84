import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Source } from '../capture/source.ts';
import { LookoutError } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import { INPUT_RANGES, type InputRange } from '../model/input-range.ts';
import { inputShape } from '../model/input-shape.ts';
import type { BuildOptions } from '../modelkit/build.ts';
import type { GuessedRange } from '../modelkit/quantize/guess-range.ts';
import type { Trial } from '../modelkit/trial.ts';
import { printable } from '../runtime/printable.ts';
import { modelLibraryCommands } from './model-library-command.ts';
import { configFile } from './options.ts';
import { showShare } from './progress-bar.ts';

/** `lookout model …`: brings models in, makes them and looks into them. */
export function modelCommand(program: Command): void {
  const model = program.command('model').description('bring models in, make them and look into them');
  modelLibraryCommands(model);
  model
    .command('inspect')
    .description('show what a model wants, answers and consists of')
    .argument('[file]', '`builtin`, an added model, or an .onnx file', 'builtin')
    .option('-c, --config <file>', 'configuration in whose `data_dir` added models are')
    .option('--labels <file>', 'label file for a model that carries none, one label a line')
    .option('--description <file>', 'description (.json) for a model that carries none')
    .option('--json', 'print everything as one JSON object')
    .addHelpText('after', '\nExample:\n  $ lookout model inspect birds.onnx')
    .action(inspect);
  model
    .command('import')
    .description('turn a fully quantised TensorFlow Lite classifier into a model for Lookout')
    .argument('<file>', 'a .tflite file')
    .option('-o, --out <file>', 'where to write; by default beside the file, as .onnx')
    .option('--labels <file>', 'labels, one a line; by default those inside the file or beside it')
    .option('--embedding', 'also give out the pooled features as the output `embedding`')
    .addHelpText(
      'after',
      '\nExample:\n  $ lookout model import mobilenet_v2_1.0_224_quant.tflite --out birds.onnx',
    )
    .action(importModel);
  model
    .command('quantize')
    .description('turn a float model into int8 ones for the CPU and for TensorRT, with pictures of your own')
    .argument('<file>', 'an .onnx file, float or quantised before, or a .tflite file')
    .option('--calibrate <folder>', 'pictures of what the camera sees, some hundred')
    .option('--from-camera <name>', 'take the pictures from this camera of the configuration')
    .option('-c, --config <file>', 'configuration with that camera; by default $LOOKOUT_CONFIG')
    .option('--pictures <count>', 'how many at most, 1…2000', whole(1, 2000), 200)
    .option(
      '-o, --out <file>',
      'where to write; by default beside the file, as .int8.onnx and .int8.tensorrt.onnx',
    )
    .option('--labels <file>', 'label file for a model that carries none, one label a line')
    .option('--description <file>', 'description (.json) for a model that carries none')
    .addOption(
      new Option(
        '--input-range <range>',
        'what the input of a float model stands for, where neither the file nor a description says so',
      ).choices(INPUT_RANGES),
    )
    .option(
      '--float-share <share>',
      'share of the multiplications that the first layers may compute in floats, 0…1; with 0 scores agree on all processors',
      number(0, 1),
      0.1,
    )
    .option('--json', 'print everything as one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lookout model quantize trained.onnx --calibrate pictures\n  $ lookout model quantize trained.onnx --from-camera garden\n\nTeachable Machine, TensorFlow Lite › Floating point:\n  $ lookout model quantize model_unquant.tflite --labels labels.txt --calibrate pictures',
    )
    .action(quantize);
  model
    .command('build')
    .description('make a MobileNet with random weights, to measure how fast one would be here')
    .addOption(new Option('--family <name>', 'MobileNet version').choices(['v1', 'v2']).default('v2'))
    .option('--width <multiplier>', 'channels as a share of the full model’s, 0.1…2', number(0.1, 2), 1)
    .option('--resolution <pixels>', 'side of the picture, 32…512', whole(32, 512), 224)
    .option('--classes <count>', 'answers, 2…100000', whole(2, 100_000), 1000)
    .option('--expansion <factor>', 'how much wider the inside of a block is (v2), 1…12', whole(1, 12), 6)
    .addOption(
      new Option('--precision <type>', 'of weights and activations')
        .choices(['int8', 'fp32'])
        .default('int8'),
    )
    .option('--seed <number>', 'of the weights', whole(0, 2 ** 31), 1)
    .option('--embedding', 'also give out the pooled features as the output `embedding`')
    .option('-o, --out <file>', 'where to write; by default here, named after what it is')
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
    ...showShare(process.stderr, 'looking at the pictures'),
  });
  if (json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const { cpu, tensorrt, source, result } = report;
  const [chosen] = result.choices;
  const worst = [...result.layers].sort((a, b) => a.decibels - b.decibels).slice(0, 3);
  print([
    ['written', `${cpu.file}, ${cpu.bytes} bytes, for the CPU`],
    ['', `${tensorrt.file}, ${tensorrt.bytes} bytes, for TensorRT`],
    ...summary(report.description),
    ['assumed', report.assumed && ASSUMED[report.assumed]],
    ['images', `${report.images}, ${result.holdout} of them kept for measuring`],
    [
      'ranges',
      `${chosen!.ranges}${chosen!.equalised ? ', equalised' : ''}: signal-to-noise ratio ${chosen!.decibels.toFixed(1)} dB`,
    ],
    ['in float', stillReal(chosen!.float)],
    [
      'agreement',
      `${percent(result.agreement.cpu)} of the first answers are the float model’s; for TensorRT ${percent(result.agreement.tensorrt)}`,
    ],
    ['weakest', worst.map(({ name, decibels }) => `${name} ${decibels.toFixed(1)} dB`).join(', ')],
    ['size', `${source.bytes} → ${cpu.bytes} bytes`],
    ['speed', `${source.milliseconds.toFixed(1)} → ${cpu.trial.milliseconds.toFixed(1)} ms with one thread`],
    ...trialRows(cpu.trial),
  ]);
}

/** Why a float input is taken for what it is. */
const ASSUMED: Record<GuessedRange, string> = {
  '-1..1': 'levels 0…255 are fed as −1…1, as in Teachable Machine and most of Keras; else say --input-range',
  '0..255': 'levels are fed as 0…255, as the model scales them itself; else say --input-range',
};

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function stillReal({ layers, share }: { layers: readonly string[]; share: number }): string | null {
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
      `--from-camera ${name}: expected one of the configured cameras: ${known}`,
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
  const beside = (value: number | undefined) => (published ? ` (${published.where}: ${value} M)` : '');
  print([
    ['written', `${file}, ${bytes} bytes`],
    ...summary(description),
    ['parameters', `${millions(parameters)}${beside(published?.parameters)}`],
    ['mult-adds', `${millions(multiplyAdds)}${beside(published?.multiplyAdds)}`],
    ['note', published?.note ?? null],
    ...trialRows(trial),
  ]);
}

function trialRows({ fused, milliseconds }: Trial): Row[] {
  return [
    ['cpu', fused && `${total(fused)} nodes after fusing: ${counted(fused)}`],
    ['tried', `runs, ${milliseconds.toFixed(1)} ms with one thread`],
  ];
}

function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`expected a number from ${low} to ${high}.`);
  };
}

function whole(low: number, high: number): (text: string) => number {
  const parse = number(low, high);
  return (text) => {
    const value = parse(text);
    if (Number.isInteger(value)) return value;
    throw new InvalidArgumentError(`expected a whole number from ${low} to ${high}.`);
  };
}

async function importModel(
  file: string,
  options: { out?: string; labels?: string; embedding?: true },
): Promise<void> {
  const { importTflite } = await import('../modelkit/import.ts');
  const { out, bytes, description, operators, trial } = await importTflite({ file, ...options });
  print([
    ['written', `${out}, ${bytes} bytes`],
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
  print([
    ['file', `${found.file}, ${found.bytes} bytes`],
    ['chosen', chosen.note?.text ?? null],
    ['sha256', found.sha256],
    ['made by', `${found.producer}, opset ${found.opset}`],
    ...summary(found.description),
    ['operators', counted(found.operators)],
  ]);
}

type Row = [key: string, value: string | null];

function summary({ name, input, output, labels, ...rest }: ModelDescription): Row[] {
  const shown = labels.length > 8 ? `${labels.slice(0, 8).join(' · ')} …` : labels.join(' · ');
  return [
    ['name', name],
    ['input', `${input.name}: ${input.type} ${inputShape(input).join('×')} ${colours(input)}`],
    ['pixels', `(pixel − ${perChannel(input.mean)}) × ${perChannel(input.scale)}`],
    ['output', `${output.name}: ${output.kind} of ${labels.length} classes`],
    ['embedding', rest.embedding ? `${rest.embedding.name}: ${rest.embedding.size} numbers` : null],
    ['labels', shown],
    ['background', rest.background.join(' · ') || null],
    ['events', Object.keys(rest.events).join(' · ') || null],
    ['source', rest.source ? `${rest.source.file}, sha256 ${rest.source.sha256}` : null],
    ['licence', rest.licence],
    ['warning', rest.warning],
  ];
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

function print(rows: Row[]): void {
  for (const [key, value] of rows) {
    if (value !== null) process.stdout.write(`${key.padEnd(11)}${printable(value)}\n`);
  }
}
