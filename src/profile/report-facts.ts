/** Measures the cost of a model: its multiply-adds, and the time of its operators by ONNX Runtime's own profile. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { inputShape } from '../model/input-shape.ts';
import type { Exact } from '../model/int8-kernel.ts';
import { loadModel } from '../model/load-model.ts';
import { openSession, Tensor } from '../model/onnxruntime.ts';
import { makeFolder, removeFolder } from '../runtime/own-files.ts';
import type { ModelFacts, ModelRef, Operator } from './profile-types.ts';
import { median } from './statistics.ts';

const RUNS = 30;
/** Convolutions and matrix products, by their names before ONNX Runtime fuses them. */
const MULTIPLYING = new Set(['Conv', 'Gemm', 'MatMul']);

type Level = 'all' | 'disabled';

/** One node in one run. */
const nodeEvent = z.object({
  cat: z.literal('Node'),
  name: z.string().endsWith('_kernel_time'),
  dur: z.number(),
  args: z.object({
    op_name: z.string(),
    provider: z.string().optional(),
    input_type_shape: z.array(z.record(z.string(), z.array(z.number()))).default([]),
    output_type_shape: z.array(z.record(z.string(), z.array(z.number()))).default([]),
  }),
});
type NodeEvent = z.infer<typeof nodeEvent>;

/** Runs a model with one thread under ONNX Runtime's profiler. */
export async function measureFacts(
  model: ModelRef,
  exact: Exact,
  folder: string,
): Promise<Pick<ModelFacts, 'multiplyAdds' | 'operators'>> {
  const fused = await profile(model, exact, folder, 'all', RUNS);
  const unfused = await profile(model, exact, folder, 'disabled', 1);
  return { operators: breakDown(fused, RUNS), multiplyAdds: countMultiplyAdds(unfused) };
}

async function profile(
  model: ModelRef,
  exact: Exact,
  parent: string,
  level: Level,
  runs: number,
): Promise<NodeEvent[]> {
  const { file, description } = await loadModel(model, parent);
  const folder = await makeFolder(join(parent, 'trace-'));
  try {
    const session = await openSession(file, {
      exact,
      executionProviders: ['cpu'],
      graphOptimizationLevel: level,
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'trace'),
      // Errors only.
      logSeverityLevel: 3,
    });
    const { name, type } = description.input;
    const shape = inputShape(description.input);
    const data = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array }[type];
    const feeds = { [name]: new Tensor(type, new data(product(shape)).fill(1), shape) };
    for (let run = 0; run < runs; run++) await session.run(feeds);
    session.endProfiling();
    await session.release();
    const [trace] = await readdir(folder);
    return parseTrace(await readFile(join(folder, trace!), 'utf8'));
  } finally {
    await removeFolder(folder);
  }
}

/** The runs of nodes in a trace of ONNX Runtime (the trace event format of Chromium). */
export function parseTrace(text: string): NodeEvent[] {
  const events = z.array(z.unknown()).parse(JSON.parse(text));
  return events.flatMap((event) => nodeEvent.safeParse(event).data ?? []);
}

/**
 * Time by operator for one run, the longest first. It uses the median of each node, so that time taken by another
 * program is not counted as an operator's own.
 */
export function breakDown(events: readonly NodeEvent[], runs: number): Operator[] {
  const nodes = new Map<string, { operator: string; provider: string; durations: number[] }>();
  for (const { name, dur, args } of events) {
    const provider = (args.provider ?? '').replace(/ExecutionProvider$/, '');
    const key = `${name} ${args.op_name} ${provider}`;
    const node = nodes.get(key) ?? { operator: args.op_name, provider, durations: [] };
    node.durations.push(dur);
    nodes.set(key, node);
  }
  const found = new Map<string, Operator>();
  for (const { operator: name, provider, durations } of nodes.values()) {
    const key = `${name} ${provider}`;
    const operator = found.get(key) ?? { name, provider, count: 0, microseconds: 0 };
    // Nodes without a name are counted together.
    const times = durations.length / runs;
    operator.count += times;
    operator.microseconds += times * median(durations);
    found.set(key, operator);
  }
  return [...found.values()]
    .map((operator) => ({ ...operator, count: Math.round(operator.count) }))
    .sort((a, b) => b.microseconds - a.microseconds);
}

/**
 * Multiply-adds of one run, in millions, from a trace without optimisation: each output element takes as many as one
 * filter has weights.
 */
export function countMultiplyAdds(events: readonly NodeEvent[]): number | null {
  let total = 0;
  for (const { args } of events) {
    if (!MULTIPLYING.has(args.op_name)) continue;
    const [, weights] = args.input_type_shape.map((shape) => Object.values(shape)[0]);
    const [output] = args.output_type_shape.map((shape) => Object.values(shape)[0]);
    if (!weights || !output) return null;
    // Filters are [outputs, inputs, …]; a matrix is [inputs, outputs] or the other way round.
    const perOutput =
      args.op_name === 'Conv' ? product(weights.slice(1)) : product(weights.slice(-2)) / output.at(-1)!;
    total += product(output) * perOutput;
  }
  return total === 0 ? null : total / 1e6;
}

const product = (numbers: readonly number[]) => numbers.reduce((result, number) => result * number, 1);
