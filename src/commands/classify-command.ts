import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { LookoutError, messageOf } from '../errors.ts';
import { imagesIn, nameOf, originalPath, type Path } from '../pixels/image-file.ts';
import { DECODED } from '../pixels/image-format.ts';
import { printable } from '../runtime/printable.ts';
import type { RawFrame } from '../types.ts';
import { configFile, integer } from './options.ts';

interface Options {
  config?: string;
  model?: string;
  labels?: string;
  description?: string;
  top: number;
  json?: true;
}

/** `lookout classify`: runs image files through the same resize and session as the daemon. */
export function classifyCommand(program: Command): void {
  program
    .command('classify')
    .description('classify image files with the same resize and model as the daemon')
    .argument('<image...>', `image files (${DECODED}), or folders of them`)
    .option('-c, --config <file>', 'configuration whose model to use; by default $LOOKOUT_CONFIG')
    .option('-m, --model <file>', '`builtin`, an added model, or an .onnx file')
    .option('--labels <file>', 'label file for a model without labels, one label per line')
    .option('--description <file>', 'description (.json) for a model without one')
    .option('-k, --top <count>', 'number of labels to print for each image file', integer(1), 5)
    .option('--json', 'print one JSON object for each image file')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lookout classify photo.jpg\n  $ lookout classify --model birds.onnx --top 3 --json garden/',
    )
    .action(classify);
}

async function classify(files: string[], options: Options): Promise<void> {
  const { decodeImageFile } = await import('../pixels/decode-image.ts');
  const { FramePool } = await import('../capture/frame-pool.ts');
  const { loadConfig } = await import('../config/load-config.ts');
  const { chooseModel } = await import('../model/builtin.ts');
  const { loadModel } = await import('../model/load-model.ts');
  const { modelFile } = await import('../config/names.ts');
  const { Classifier } = await import('../vision/classifier.ts');

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
  const pool = new FramePool();
  let classified = 0;
  let failed = 0;
  const fail = (name: string, error: unknown) => {
    failed++;
    process.stderr.write(`IMAGE_UNREADABLE: ${printable(name)}: ${messageOf(error)}\n`);
  };
  const classifyImage = async (name: string, path: Path) => {
    let image: RawFrame;
    try {
      image = await decodeImageFile(path, null, pool);
    } catch (error) {
      return fail(name, error);
    }
    const { format, data } = image;
    const top = classifier.classify({ format, data: new Uint8Array(data) }, options.top);
    pool.release(data);
    classified++;
    process.stdout.write(options.json ? `${JSON.stringify({ file: name, top })}\n` : table(name, top));
  };
  try {
    for (const file of files) {
      const images = await imagesOf(file).catch((error: unknown) => fail(file, error));
      for (const { name, path } of images ?? []) await classifyImage(name, path);
    }
  } finally {
    classifier.close();
  }
  if (failed > 0) {
    throw new LookoutError(
      'IMAGE_UNREADABLE',
      `cannot read ${failed} of ${failed + classified} image files`,
      { hint: 'The lines above give the reason for each file.' },
    );
  }
}

/**
 * The image files of an argument: the file itself, or those of a folder, each with a printable name.
 * @throws ImageError if there are none
 */
async function imagesOf(file: string): Promise<{ name: string; path: Path }[]> {
  const path = await originalPath(resolve(file));
  const inside = await imagesIn(path);
  const images = (inside ?? [path]).map((image) => {
    if (typeof image !== 'string') return { name: printable(image), path: image };
    return { name: inside ? join(file, nameOf(image).toString()) : file, path: image };
  });
  for (const { name } of images.filter((image) => typeof image.path !== 'string')) {
    process.stderr.write(`${name}: the file name is not UTF-8; invalid bytes are shown as \\xNN\n`);
  }
  return images;
}

function table(file: string, top: readonly { label: string; score: number }[]): string {
  const rows = top.map(
    ({ label, score }) => `  ${(100 * score).toFixed(1).padStart(5)} %  ${printable(label)}`,
  );
  return `${printable(file)}\n${rows.join('\n')}\n`;
}
