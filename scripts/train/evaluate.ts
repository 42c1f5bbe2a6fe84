/**
 * Measures models on a split of the data set with `lookout classify`, the product's own path, and prints the parts of the
 * model card in Markdown. The first model is described in full; each of the others is one row of the first table.
 *
 *   scripts/node scripts/train/evaluate.ts --data ../shared/data/starter --out models models/lookout.onnx \
 *     runs/w1.0/lookout.onnx [--config lookout.yaml builtin] [--apply models/lookout.onnx]…
 *
 * --apply writes the thresholds, chosen on val, into the description of that file (or head).
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DescriptionFile } from '../../src/model/description.ts';
import { DESCRIPTION_KEY } from '../../src/model/load-model.ts';
import { decodeModel, encodeModel, metadata, setMetadata } from '../../src/model/onnx.ts';
import { tryModel } from '../../src/modelkit/trial.ts';
import { writeWhole } from '../../src/runtime/write-file.ts';
import {
  type Answer,
  accuracy,
  balanced,
  calibrationError,
  confusion,
  failures,
  first,
  grouped,
  precisionAndRecall,
  reliability,
  thresholdFor,
} from './evaluate/measures.ts';
import { classify, inspect, multiplyAdds } from './evaluate/product.ts';
import { unpackSplit } from './evaluate/split.ts';
import { confusionSvg, reliabilitySvg } from './evaluate/svg.ts';

const PRECISION = 0.95;

const { values, positionals: models } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    config: { type: 'string' },
    out: { type: 'string' },
    prefix: { type: 'string', default: '' },
    apply: { type: 'string', multiple: true, default: [] },
    failures: { type: 'string', default: '20' },
  },
});
if (!values.data || models.length === 0) throw new Error('expected --data FOLDER and at least one model');

const folder = mkdtempSync(join(tmpdir(), 'lookout-evaluate-'));
try {
  const test = unpackSplit(values.data, 'test', join(folder, 'test'));
  const val = unpackSplit(values.data, 'val', join(folder, 'val'));
  const rows: string[][] = [];
  for (const [place, model] of models.entries()) {
    const asked = { model, config: values.config };
    const answers = await classify(asked, test);
    rows.push(await summary(asked, answers));
    if (place === 0) await describe(asked, answers, await classify(asked, val));
  }
  print('Models', [
    [
      'model',
      'top-1',
      'balanced',
      'worst class',
      'calibration error',
      'mult-adds',
      'bytes',
      'ms, one thread',
    ],
    ...rows,
  ]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function summary(
  asked: { model: string; config: string | undefined },
  answers: Answer[],
): Promise<string[]> {
  const { file, bytes, description } = await inspect(asked);
  const content = readFileSync(file);
  const { milliseconds } = await tryModel(content, description);
  const classes = [...grouped(answers, ({ label }) => label)];
  const [worst, members] = classes.reduce((a, b) => (accuracy(b[1]) < accuracy(a[1]) ? b : a));
  return [
    description.name,
    percent(accuracy(answers)),
    percent(balanced(answers)),
    `${worst} ${percent(accuracy(members))}`,
    calibrationError(reliability(answers)).toFixed(3),
    `${(multiplyAdds(content, description.input.width) / 1e6).toFixed(1)} M`,
    String(bytes),
    milliseconds.toFixed(2),
  ];
}

/** Everything about one model. */
async function describe(asked: { model: string; config: string | undefined }, test: Answer[], val: Answer[]) {
  const { file, sha256, description } = await inspect(asked);
  process.stdout.write(`# ${description.name}\n\n${file}, sha256 ${sha256}\n\n`);
  const { labels } = description;
  const thresholds = new Map(
    labels
      .filter((label) => !description.background.includes(label))
      .map((label) => [label, thresholdFor(val, label, PRECISION)]),
  );
  const classes = grouped(test, ({ label }) => label);
  print('Classes', [
    ['class', 'images', 'accuracy', 'threshold', 'precision on val', 'on test', 'recall on test'],
    ...labels.map((label) => {
      const members = classes.get(label) ?? [];
      const at = thresholds.get(label);
      const known = [label, String(members.length), percent(accuracy(members))];
      if (at === undefined) return [...known, '', '', '', ''];
      const [onVal, onTest] = [val, test].map((answers) => precisionAndRecall(answers, label, at));
      return [
        ...known,
        at.toFixed(2),
        percent(onVal!.precision),
        percent(onTest!.precision),
        percent(onTest!.recall),
      ];
    }),
  ]);
  print('Sources', [
    ['source', 'images', 'accuracy', 'by class'],
    ...[...grouped(test, ({ source }) => source)]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([source, members]) => [
        source,
        String(members.length),
        percent(accuracy(members)),
        [...grouped(members, ({ label }) => label)]
          .map(([label, some]) => `${label} ${percent(accuracy(some))} of ${some.length}`)
          .join(', '),
      ]),
  ]);
  const counts = confusion(test, labels);
  print('Confusion (rows: what the image shows)', [
    ['', ...labels],
    ...counts.map((row, i) => [labels[i]!, ...row.map((count) => (count ? String(count) : ''))]),
  ]);
  const bins = reliability(test);
  const error = calibrationError(bins);
  print('Calibration', [
    ['score', 'predictions', 'mean score', 'accuracy'],
    ...bins
      .filter(({ count }) => count > 0)
      .map(({ from, to, count, score, right }) => [
        `${percent(from)} – ${percent(to)}`,
        String(count),
        percent(score),
        percent(right),
      ]),
  ]);
  process.stdout.write(`Expected calibration error: ${error.toFixed(3)}\n\n`);
  print('Most confident failures', [
    ['image', 'source', 'shows', 'prediction'],
    ...failures(test, Number(values.failures)).map((answer) => {
      const { label, score } = first(answer);
      return [answer.id, answer.source, answer.label, `${label} ${percent(score)}`];
    }),
  ]);
  if (values.out) {
    writeFileSync(join(values.out, `${values.prefix}confusion.svg`), confusionSvg(counts, labels));
    writeFileSync(join(values.out, `${values.prefix}calibration.svg`), reliabilitySvg(bins, error));
  }
  for (const target of values.apply) await apply(target, thresholds);
}

/** Writes thresholds into the description inside a file. */
async function apply(file: string, thresholds: ReadonlyMap<string, number>): Promise<void> {
  const model = decodeModel(readFileSync(file));
  const description = JSON.parse(metadata(model, DESCRIPTION_KEY) ?? '{}') as DescriptionFile;
  for (const [label, on] of thresholds) description.events[label] = { ...description.events[label], on };
  setMetadata(model, DESCRIPTION_KEY, JSON.stringify(description));
  await writeWhole(file, encodeModel(model));
  process.stderr.write(`thresholds written into ${file}\n`);
}

function print(title: string, [head, ...rows]: string[][]): void {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  process.stdout.write(
    `## ${title}\n\n${line(head!)}${line(head!.map(() => '---'))}${rows.map(line).join('')}\n`,
  );
}

function percent(share: number): string {
  return Number.isNaN(share) ? '–' : `${(100 * share).toFixed(1)} %`;
}
