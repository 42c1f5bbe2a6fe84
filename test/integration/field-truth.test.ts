import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lookout } from '../support/cli.ts';
import { tempFolder } from '../support/daemon.ts';
import { requiresVnniSwitch, withoutVnni } from '../support/processor-without-vnni.ts';
import { requiresShared, shared } from '../support/requires.ts';

const skip = requiresShared('field/truth.json', 'field/models', 'field/pictures');

/** What LiteRT answers to a classifier's pictures: the index of the best class, and the largest scores by index. */
interface Truth {
  input: [rows: number, columns: number, channels: number];
  pictures: Record<string, { top: number; n: number; scores: Record<string, number> }>;
}

const truth: Record<string, Truth> = skip ? {} : JSON.parse(readFileSync(shared('field/truth.json'), 'utf8'));

/** Files whose numbers stay the same through `model import`. */
const IMPORTED = [
  'coral_mobilenet_v1_0.75_192_quant.tflite',
  'ei_mask/trained.tflite',
  'mlperf_resnet8_quant.tflite',
  'mlperf_vww_96_int8.tflite',
  'st_mnv2_flowers.tflite',
  'st_squeezenet_flowers.tflite',
  'tm_q/model.tflite',
];
/** Files that are left out, each with its reason. */
const LEFT_OUT: Record<string, string> = {
  'facedet_my_model.tflite': 'computes in floats: what `model quantize` makes of it has other numbers',
  'preet_animal_classifier.tflite': 'computes in floats: what `model quantize` makes of it has other numbers',
  'tm_f/model_unquant.tflite': 'computes in floats: what `model quantize` makes of it has other numbers',
};

/** LiteRT's own kernels differ by more than this on the ResNets of 32×32 pixels. */
const MOST = (file: string) => (/resnet8/.test(file) ? 0.1 : 0.02);
/** Two best answers that are closer than this may be swapped. */
const CLOSE = 0.05;

const folder = skip ? '' : tempFolder();
const nameOf = (file: string) => file.replaceAll(/\W/g, '_');

async function imported(file: string): Promise<string> {
  const out = join(folder, `${nameOf(file)}.onnx`);
  if (!existsSync(out)) {
    const { code, stderr } = await lookout(['model', 'import', shared(`field/models/${file}`), '--out', out]);
    assert.equal(code, 0, stderr);
  }
  return out;
}

/** What is wrong with the answers of `lookout classify`, in words; empty when they are LiteRT's. */
async function disagreements(file: string, exact: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const { input, pictures } = truth[file]!;
  const n = Object.values(pictures)[0]!.n;
  const model = await imported(file);
  const config = join(folder, `${exact}.yaml`);
  writeFileSync(config, `model: { exact: ${exact} }\ncameras: { demo: { source: { kind: demo } } }\n`);
  const labels = join(folder, `${nameOf(file)}.txt`);
  writeFileSync(labels, Array.from({ length: n }, (_, index) => `class${index}`).join('\n'));
  const files = Object.keys(pictures).map((name) => shared(`field/pictures/${input[0]}x${input[1]}/${name}`));
  const options = ['--config', config, '--model', model, '--labels', labels, '--top', String(n), '--json'];
  const { code, stdout, stderr } = await lookout(['classify', ...options, ...files], { env });
  assert.equal(code, 0, stderr);
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
  assert.equal(answers.length, files.length);
  return answers.flatMap(({ top }, index) => {
    const [name, expected] = Object.entries(pictures)[index]!;
    const scores = new Map(top.map(({ label, score }) => [Number(label.slice('class'.length)), score]));
    return compare(scores, expected, MOST(file)).map((problem) => `${file}, ${name}: ${problem}`);
  });
}

interface Answer {
  top: { label: string; score: number }[];
}

function compare(
  scores: ReadonlyMap<number, number>,
  { top, scores: expected }: Truth['pictures'][string],
  most: number,
): string[] {
  const known = Object.entries(expected).map(([index, score]) => [Number(index), score] as const);
  const [best = 0, next = 0] = known.map(([, score]) => score).sort((a, b) => b - a);
  const least = Math.min(...known.map(([, score]) => score));
  const [[first] = [-1]] = [...scores].sort(([, a], [, b]) => b - a);
  const listed = new Map(known);
  const off = [...scores].filter(([index, score]) => {
    const wanted = listed.get(index);
    // Of the others it is only known that they are no larger than the least that is listed.
    return wanted === undefined ? score - least > most : Math.abs(score - wanted) > most;
  });
  return [
    ...(first !== top && best - next >= CLOSE ? [`answers ${first} and not ${top}`] : []),
    ...off.map(
      ([index, score]) => `class ${index} has ${score} and not ${listed.get(index) ?? `≤ ${least}`}`,
    ),
  ];
}

describe('files that people bring', { skip }, () => {
  test('are all compared with LiteRT, or left out for a reason', () => {
    assert.deepEqual(Object.keys(truth).sort(), [...IMPORTED, ...Object.keys(LEFT_OUT)].sort());
  });

  for (const file of IMPORTED) {
    test(`${file} answers as LiteRT does`, async () => {
      assert.deepEqual(await disagreements(file, 'auto'), []);
    });
  }

  describe('on a processor without VNNI', { skip: requiresVnniSwitch() }, () => {
    for (const file of IMPORTED) {
      test(`${file} answers as LiteRT does`, async () => {
        assert.deepEqual(await disagreements(file, 'auto', withoutVnni()), []);
      });
    }

    test('would answer otherwise without exact sums', async () => {
      assert.notDeepEqual(await disagreements('mlperf_resnet8_quant.tflite', 'never', withoutVnni()), []);
    });
  });
});
