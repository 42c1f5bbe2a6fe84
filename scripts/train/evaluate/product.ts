/** The product itself, asked from outside: `lookout classify` and `lookout model inspect`. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ModelDescription } from '../../../src/model/description.ts';
import { decodeModel, integer, type OnnxModel } from '../../../src/model/onnx.ts';
import { tensorShape } from '../../../src/model/tensor.ts';
import type { Answer } from './measures.ts';
import type { Picture } from './split.ts';

const run = promisify(execFile);
const CLI = new URL('../../../src/cli.ts', import.meta.url).pathname;

/** A model, as `--model` names it, and the configuration in whose `data_dir` added models are. */
export interface Asked {
  model: string;
  config: string | undefined;
}

export async function inspect({ model, config }: Asked): Promise<{
  file: string;
  bytes: number;
  sha256: string;
  description: ModelDescription;
}> {
  return JSON.parse(await lookout(['model', 'inspect', model, '--json'], config));
}

/** Scores of all pictures. */
export async function classify({ model, config }: Asked, pictures: readonly Picture[]): Promise<Answer[]> {
  const files = pictures.map(({ file }) => file);
  const output = await lookout(['classify', '--model', model, '--top', '1000', '--json', ...files], config);
  return output
    .trim()
    .split('\n')
    .map((line, i) => {
      const { top } = JSON.parse(line) as { top: { label: string; score: number }[] };
      const { id, label, source } = pictures[i]!;
      return {
        id,
        label,
        source,
        scores: Object.fromEntries(top.map((entry) => [entry.label, entry.score])),
      };
    });
}

async function lookout(args: string[], config: string | undefined): Promise<string> {
  const named = config === undefined ? [] : ['--config', config];
  const [first, ...rest] = args;
  const nested = first === 'model' ? [first, rest.shift()!, ...named, ...rest] : [first!, ...named, ...rest];
  const { stdout } = await run(process.execPath, [CLI, ...nested], { maxBuffer: 1 << 28 });
  return stdout;
}

/**
 * Multiply-adds of one picture in the convolutions and the classifier of a model, float or QDQ.
 * @param side of the square picture
 */
export function multiplyAdds(bytes: Uint8Array, side: number): number {
  const { graph }: OnnxModel = decodeModel(bytes);
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const makers = new Map(graph.node.map((node) => [node.output[0]!, node]));
  const sides = new Map<string, number>();
  let total = 0;
  for (const { opType, input, output, attribute } of graph.node) {
    const before = sides.get(input[0]!) ?? side;
    let after = opType === 'GlobalAveragePool' ? 1 : before;
    if (opType === 'Conv' || opType === 'Gemm') {
      const weights = constants.get(input[1]!) ?? constants.get(makers.get(input[1]!)?.input[0] ?? '');
      const [outputs = 0, inputs = 0, ...kernel] = tensorShape(weights!);
      const list = (name: string, or: number[]) =>
        attribute.find((entry) => entry.name === name)?.ints?.map(integer) ?? or;
      const [top = 0, , bottom = 0] = list('pads', [0, 0, 0, 0]);
      const [stride = 1] = list('strides', [1]);
      const [high = 1, wide = 1] = kernel;
      after = Math.floor((before + top + bottom - high) / stride) + 1;
      total += outputs * inputs * high * wide * after * after;
    }
    sides.set(output[0]!, after);
  }
  return total;
}
