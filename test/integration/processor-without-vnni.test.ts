import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { encodeModel } from '../../src/model/onnx.ts';
import { GraphBuilder } from '../../src/model/onnx-graph.ts';
import { lacksVnni, requiresVnniSwitch, withoutVnni } from '../support/processor-without-vnni.ts';
import { runModels } from '../support/run-models.ts';

/** Pairs of products are far beyond 16 bits: 2 × 255 × 127. */
const [CHANNELS, WEIGHT] = [16, 127];
const EXACT = CHANNELS * 255 * WEIGHT;

/** A convolution whose sum is `EXACT` where the input is 255 everywhere. */
function model(): Uint8Array {
  const graph = new GraphBuilder('sum');
  const input = graph.input('image', 'uint8', [1, CHANNELS, 4, 4]);
  const bytes = { scale: 1, zeroPoint: 0, type: 'uint8' } as const;
  const weights = new Int8Array(CHANNELS * CHANNELS).fill(WEIGHT);
  const convolution = graph.node('Conv', [
    graph.dequantize(input, bytes),
    graph.dequantizedConstant('weights', weights, [CHANNELS, CHANNELS, 1, 1], Float32Array.of(1)),
  ]);
  // As a byte: steps so large that the exact sum is 200 of them.
  const answer = { ...bytes, scale: EXACT / 200 };
  const output = graph.dequantize(graph.quantize(convolution, answer), answer);
  graph.output(output, [1, CHANNELS, 4, 4]);
  return encodeModel(graph.build());
}

function run(session: Record<string, string>, env: NodeJS.ProcessEnv): number {
  const [[numbers]] = runModels([model()], new Uint8Array(CHANNELS * 16).fill(255), session, env) as [
    [number[]],
  ];
  const answers = new Set(numbers.map((value) => Math.round(value)));
  assert.equal(answers.size, 1);
  return [...answers][0]!;
}

const skip = requiresVnniSwitch();

test('a processor with VNNI does not clip', { skip: lacksVnni() && 'this one has none' }, () => {
  assert.equal(run({}, {}), EXACT);
});

describe('a processor without VNNI', { skip }, () => {
  test('a processor without VNNI clips sums of products, and asked for precision does not', () => {
    assert.notEqual(run({}, withoutVnni()), EXACT);
    assert.equal(run({ x64quantprecision: '1' }, withoutVnni()), EXACT);
  });

  test('the kernel names no newer instructions of a processor that hides them', () => {
    const print = "process.stdout.write(require('node:fs').readFileSync('/proc/cpuinfo', 'utf8'))";
    const text = execFileSync(process.execPath, ['-e', print], {
      env: { ...process.env, ...withoutVnni() },
      encoding: 'utf8',
    });
    assert.match(text, /^flags\s*:.*\bavx2\b/m);
    assert.doesNotMatch(text, /vnni|avx512|amx/);
  });
});
