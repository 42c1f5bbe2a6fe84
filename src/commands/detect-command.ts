import type { Command } from 'commander';
import { DECODED } from '../pixels/image-format.ts';
import { printable } from '../runtime/printable.ts';
import type { DetectedObject } from '../types.ts';
import { answerEachImage } from './each-image.ts';
import { type ImageModelOptions, imageModel } from './image-model.ts';
import { number } from './options.ts';

interface Options extends ImageModelOptions {
  minScore?: number;
  json?: true;
}

/** `lookout detect`: the objects in image files, with their boxes. */
export function detectCommand(program: Command): void {
  program
    .command('detect')
    .description('find objects in image files, each with its label, score and box')
    .argument('<image...>', `image files (${DECODED}), or folders of them`)
    .option('-c, --config <file>', 'configuration whose model to use; by default $LOOKOUT_CONFIG')
    .option('-m, --model <file>', 'an object detector: an added model, or an .onnx file')
    .option('--labels <file>', 'label file for a model without labels, one label per line')
    .option('--description <file>', 'description (.json) for a model without one')
    .option(
      '-s, --min-score <score>',
      'lowest score of an object, 0…1; by default the model’s own',
      number(0, 1),
    )
    .option('--json', 'print one JSON object for each image file')
    .addHelpText(
      'after',
      '\nBoxes are x, y, width and height in fractions of the upright image, from its upper left corner.\n' +
        '\nExamples:\n  $ lookout detect --model ssd.onnx photo.jpg' +
        '\n  $ lookout detect --model yolox_nano.onnx --min-score 0.5 --json street/',
    )
    .action(detect);
}

async function detect(files: string[], options: Options): Promise<void> {
  const { Detector } = await import('../vision/detector.ts');
  const { model, settings } = await imageModel(options, 'detect');
  const limits = options.minScore === undefined ? {} : { score: options.minScore };
  const detector = Detector.open(model, settings, limits);
  try {
    await answerEachImage(files, (name, image) => {
      const objects = detector.detect(image);
      return options.json ? `${JSON.stringify(record(name, objects))}\n` : table(name, objects);
    });
  } finally {
    detector.close();
  }
}

function record(file: string, objects: readonly DetectedObject[]) {
  return {
    file,
    objects: objects.map(({ label, score, box: { x, y, w, h } }) => ({ label, score, box: [x, y, w, h] })),
  };
}

function table(file: string, objects: readonly DetectedObject[]): string {
  const width = Math.max(0, ...objects.map(({ label }) => printable(label).length));
  const percent = (share: number, digits = 0) => (100 * share).toFixed(digits);
  const rows = objects.map(({ label, score, box: { x, y, w, h } }) => {
    const place = `x ${percent(x)} … ${percent(x + w)} %, y ${percent(y)} … ${percent(y + h)} %`;
    return `  ${percent(score, 1).padStart(5)} %  ${printable(label).padEnd(width)}  ${place}`;
  });
  return `${[printable(file), ...(rows.length > 0 ? rows : ['  no objects'])].join('\n')}\n`;
}
