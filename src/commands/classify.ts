import { type Command, InvalidArgumentError } from 'commander';
import { LookoutError, messageOf } from '../errors.ts';
import { configFile } from './options.ts';

interface Options {
  config?: string;
  model?: string;
  labels?: string;
  description?: string;
  top: number;
  json?: true;
}

/** `lookout classify`: pictures through the daemon's own resize and session. */
export function classifyCommand(program: Command): void {
  program
    .command('classify')
    .description('say what is in pictures, with the same resize and model as the daemon')
    .argument('<image...>', 'JPEG, PNG or WebP files')
    .option('-c, --config <file>', 'configuration whose model is used')
    .option('-m, --model <file>', '`builtin`, an added model, or an .onnx file')
    .option('--labels <file>', 'label file for a model that carries none, one label a line')
    .option('--description <file>', 'description (.json) for a model that carries none')
    .option('-k, --top <count>', 'how many labels', count, 5)
    .option('--json', 'print one JSON object per picture')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lookout classify photo.jpg\n  $ lookout classify --model birds.onnx --top 3 --json garden/*.jpg',
    )
    .action(classify);
}

async function classify(files: string[], options: Options): Promise<void> {
  const { LARGEST_PIXELS } = await import('../capture/source.ts');
  const { loadConfig } = await import('../config/load.ts');
  const { chooseModel } = await import('../model/builtin.ts');
  const { loadModel } = await import('../model/load.ts');
  const { modelFile } = await import('../model/names.ts');
  const { Classifier } = await import('../vision/classify.ts');
  const { default: sharp } = await import('sharp');
  const { resolve } = await import('node:path');

  const { config, baseDir } = loadConfig({ file: configFile(options.config) });
  const settings = {
    ...config.model,
    ...(options.model && { file: modelFile(options.model, '', config.data_dir) }),
    ...(options.labels && { labels: resolve(options.labels) }),
    ...(options.description && { description: resolve(options.description) }),
  };
  const chosen = await chooseModel(settings, { dataDir: config.data_dir });
  if (chosen.note?.problem) process.stderr.write(`${chosen.note.text}\n`);
  const model = await loadModel({ ...settings, file: chosen.file }, baseDir);
  const classifier = Classifier.open(model, settings);
  let failed = 0;
  try {
    for (const file of files) {
      try {
        const { data, info } = await sharp(file, { limitInputPixels: LARGEST_PIXELS })
          .rotate()
          .flatten()
          .toColourspace('srgb')
          .removeAlpha()
          .raw()
          .toBuffer({ resolveWithObject: true });
        const format = { width: info.width, height: info.height, pixels: 'rgb24', colour: 'jpeg' } as const;
        const top = classifier.classify({ format, data: new Uint8Array(data) }, options.top);
        process.stdout.write(options.json ? `${JSON.stringify({ file, top })}\n` : table(file, top));
      } catch (error) {
        failed++;
        process.stderr.write(`IMAGE_UNREADABLE: ${file}: ${messageOf(error)}\n`);
      }
    }
  } finally {
    classifier.close();
  }
  if (failed > 0) {
    throw new LookoutError('IMAGE_UNREADABLE', `${failed} of ${files.length} pictures could not be read`);
  }
}

function table(file: string, top: readonly { label: string; score: number }[]): string {
  const rows = top.map(({ label, score }) => `  ${(100 * score).toFixed(1).padStart(5)} %  ${label}`);
  return `${file}\n${rows.join('\n')}\n`;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number from 1.');
  return value;
}
