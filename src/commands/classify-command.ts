import type { Command } from 'commander';
import { DECODED } from '../pixels/image-format.ts';
import { printable } from '../runtime/printable.ts';
import { answerEachImage } from './each-image.ts';
import { type ImageModelOptions, imageModel } from './image-model.ts';
import { integer } from './options.ts';

interface Options extends ImageModelOptions {
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
  const { Classifier } = await import('../vision/classifier.ts');
  const { model, settings } = await imageModel(options, 'classify');
  const classifier = Classifier.open(model, settings);
  try {
    await answerEachImage(files, (name, image) => {
      const top = classifier.classify(image, options.top);
      return options.json ? `${JSON.stringify({ file: name, top })}\n` : table(name, top);
    });
  } finally {
    classifier.close();
  }
}

function table(file: string, top: readonly { label: string; score: number }[]): string {
  const rows = top.map(
    ({ label, score }) => `  ${(100 * score).toFixed(1).padStart(5)} %  ${printable(label)}`,
  );
  return `${printable(file)}\n${rows.join('\n')}\n`;
}
