import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUILTIN_MODEL } from '../../../src/model/load-model.ts';
import { familyCost } from '../../../src/modelkit/mobilenet.ts';
import { buildMember } from '../../../src/profile/family.ts';
import { breakDown, countMultiplyAdds, measureFacts, parseTrace } from '../../../src/profile/report-facts.ts';
import { tempFolder } from '../../support/daemon.ts';

const node = (name: string, dur: number, weights: number[], output: number[], op = 'Conv') => ({
  cat: 'Node',
  name: `${name}_kernel_time`,
  dur,
  args: {
    op_name: op,
    provider: 'CPUExecutionProvider',
    input_type_shape: [{ float: [1, 3, 8, 8] }, { float: weights }],
    output_type_shape: [{ float: output }],
  },
});

test('time is summed by operator for one run, the longest first', () => {
  const trace = [
    { cat: 'Session', name: 'model_run', dur: 500, args: {} },
    ...[1, 2].flatMap(() => [
      node('a', 100, [4, 3, 3, 3], [1, 4, 8, 8]),
      node('b', 30, [4, 4, 1, 1], [1, 4, 8, 8]),
      node('c', 200, [10, 256], [1, 10], 'Gemm'),
    ]),
    { ...node('d', 9, [], []), name: 'd_fence_before' },
  ];
  const events = parseTrace(JSON.stringify(trace));
  assert.deepEqual(breakDown(events, 2), [
    { name: 'Gemm', provider: 'CPU', count: 1, microseconds: 200 },
    { name: 'Conv', provider: 'CPU', count: 2, microseconds: 130 },
  ]);
  const once = parseTrace(JSON.stringify(trace.slice(0, 4)));
  assert.equal(countMultiplyAdds(once), (4 * 64 * 27 + 4 * 64 * 4 + 10 * 256) / 1e6);
  assert.equal(countMultiplyAdds([]), null);
});

test('the time of other programs is not counted for an operator', () => {
  const durations = [100, 102, 15_000, 101, 99];
  const events = parseTrace(
    JSON.stringify(durations.map((dur) => node('a', dur, [4, 3, 3, 3], [1, 4, 8, 8]))),
  );
  assert.deepEqual(breakDown(events, 5), [{ name: 'Conv', provider: 'CPU', count: 1, microseconds: 101 }]);
});

test('the multiply-adds in ONNX Runtime match those of the family', async () => {
  const folder = tempFolder();
  const member = { width: 0.35, resolution: 96, precision: 'fp32' } as const;
  const file = join(folder, 'member.onnx');
  await buildMember(member, file);
  const { multiplyAdds, operators } = await measureFacts({ name: 'member', file }, 'auto', folder);
  const cost = familyCost({ ...member, family: 'v2', classes: 1000, expansion: 6, seed: 1 });
  assert.equal(multiplyAdds, cost.multiplyAdds / 1e6);
  assert.equal(operators[0]!.name, 'Conv');
  assert.deepEqual(readdirSync(folder), ['member.onnx'], 'no trace is left behind');
});

test('an int8 model is broken down into ONNX Runtime’s fused operators', async () => {
  const { operators } = await measureFacts({ name: 'builtin', file: BUILTIN_MODEL }, 'auto', tempFolder());
  assert.equal(operators[0]!.name, 'QLinearConv');
  assert.ok(operators.every(({ count, microseconds }) => count > 0 && microseconds > 0));
});
