/**
 * MobileNetV1 and V2 in several widths, as `lookout model build` makes them (int8, 224 × 224, 1000 classes, random
 * weights), beside what is printed about them: parameters, multiply-adds and milliseconds here.
 *
 *   scripts/node scripts/train/family.ts build FOLDER               makes the files
 *   scripts/node scripts/train/family.ts time FOLDER [MODEL.onnx]…  times them, and other models, in one run: Markdown
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel } from '../../src/model/load-model.ts';
import { buildModel } from '../../src/modelkit/build.ts';
import { familyCost } from '../../src/modelkit/mobilenet.ts';
import { tryModel } from '../../src/modelkit/trial.ts';
import { multiplyAdds } from './evaluate/product.ts';

interface Printed {
  /** Millions. */
  parameters: number;
  multiplyAdds: number;
  /** On one core of a Google Pixel, float. */
  milliseconds?: number;
  where: string;
}

const SANDLER = 'Sandler et al. 2018, table 4';
const HOWARD = 'Howard et al. 2017, table 6';
const RELEASED = 'list of released models';

/** The authors' list: https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/README.md */
const MEMBERS: { family: 'v1' | 'v2'; width: number; printed?: Printed }[] = [
  { family: 'v1', width: 0.35 },
  { family: 'v1', width: 0.5, printed: { parameters: 1.3, multiplyAdds: 149, where: HOWARD } },
  { family: 'v1', width: 0.75, printed: { parameters: 2.6, multiplyAdds: 325, where: HOWARD } },
  {
    family: 'v1',
    width: 1,
    printed: { parameters: 4.2, multiplyAdds: 575, milliseconds: 113, where: SANDLER },
  },
  { family: 'v1', width: 1.4 },
  { family: 'v2', width: 0.35, printed: { parameters: 1.66, multiplyAdds: 59, where: RELEASED } },
  { family: 'v2', width: 0.5, printed: { parameters: 1.95, multiplyAdds: 97, where: RELEASED } },
  { family: 'v2', width: 0.75, printed: { parameters: 2.61, multiplyAdds: 209, where: RELEASED } },
  {
    family: 'v2',
    width: 1,
    printed: { parameters: 3.4, multiplyAdds: 300, milliseconds: 75, where: SANDLER },
  },
  {
    family: 'v2',
    width: 1.4,
    printed: { parameters: 6.9, multiplyAdds: 585, milliseconds: 143, where: SANDLER },
  },
];
const COMMON = { resolution: 224, classes: 1000, expansion: 6, seed: 1 };

const [task, folder = '.', ...others] = process.argv.slice(2);
const fileOf = (family: string, width: number) => join(folder, `${family}-${width}.onnx`);
if (task === 'build') await build();
else if (task === 'time') await time();
else throw new Error('expected `build FOLDER` or `time FOLDER [MODEL.onnx]…`');

async function build(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const { family, width } of MEMBERS) {
    const out = fileOf(family, width);
    await buildModel({ ...COMMON, family, width, precision: 'int8', out });
    process.stderr.write(`${out}\n`);
  }
}

async function time(): Promise<void> {
  const rows = [];
  for (const { family, width, printed } of MEMBERS) {
    const cost = familyCost({ ...COMMON, family, width });
    const milliseconds = await timed(fileOf(family, width));
    rows.push([
      `MobileNet${family.toUpperCase()} ${width}, 224`,
      ...[cost.parameters, cost.multiplyAdds].map(millions),
      milliseconds,
      ...(printed
        ? [`${printed.parameters} M`, `${printed.multiplyAdds} M`, printed.milliseconds ?? '', printed.where]
        : ['', '', '', '']),
    ]);
  }
  for (const file of others) {
    const { description } = await loadModel({ file }, process.cwd());
    const count = multiplyAdds(readFileSync(file), description.input.width);
    rows.push([description.name, '', millions(count), await timed(file), '', '', '', '']);
  }
  const head = [
    'network',
    'parameters',
    'mult-adds',
    'ms, int8, one thread',
    'printed: parameters',
    'mult-adds',
    'ms',
    'where',
  ];
  const line = (cells: (string | number)[]) => `| ${cells.join(' | ')} |\n`;
  const table = [head, head.map(() => '---'), ...rows].map(line).join('');
  process.stdout.write(table);
  writeFileSync(join(folder, 'family.md'), table);
}

async function timed(file: string): Promise<string> {
  const { description } = await loadModel({ file }, process.cwd());
  return (await tryModel(readFileSync(file), description)).milliseconds.toFixed(2);
}

function millions(count: number): string {
  return `${(count / 1e6).toFixed(2)} M`;
}
