/** Test-runs a model, and reports its speed and its nodes after ONNX Runtime's optimisation. */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LookoutError, messageOf } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import { inputShape } from '../model/input-shape.ts';
import { decodeModel } from '../model/onnx.ts';
import { openSession, type SessionSettings, Tensor } from '../model/onnxruntime.ts';
import { makeFolder, removeFolder } from '../runtime/own-files.ts';

export interface Trial {
  /** Nodes of the CPU provider after fusing, by operator; null if the optimised model cannot be written. */
  fused: Record<string, number> | null;
  /** Milliseconds of one inference with one thread, the fastest of several: other programs can only slow it down. */
  milliseconds: number;
}

const RUNS = 15;
const OPTIONS: SessionSettings = {
  exact: 'auto',
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  // Errors only.
  logSeverityLevel: 3,
};

/**
 * Runs the model on a grey image.
 * @throws LookoutError MODEL_UNUSABLE if ONNX Runtime refuses it or a score is not a finite number
 */
export async function tryModel(
  bytes: Uint8Array,
  { input, output, boxes }: ModelDescription,
): Promise<Trial> {
  const folder = await makeFolder(join(tmpdir(), 'lookout-model-'));
  try {
    const fused = await fusedOperators(bytes, join(folder, 'optimised.onnx'));
    const session = await openSession(bytes, OPTIONS);
    let fastest = Infinity;
    const dims = inputShape(input);
    const length = dims.reduce((product, size) => product * size, 1);
    const grey = {
      uint8: () => new Tensor('uint8', new Uint8Array(length).fill(128), dims),
      int8: () => new Tensor('int8', new Int8Array(length), dims),
      float32: () => new Tensor('float32', new Float32Array(length), dims),
    }[input.type]();
    for (let run = 0; run < RUNS; run++) {
      const started = performance.now();
      const results = await session.run({ [input.name]: grey });
      fastest = Math.min(fastest, performance.now() - started);
      for (const name of new Set([output.name, boxes?.output ?? output.name])) {
        const numbers = results[name]?.data as Float32Array | undefined;
        if (!numbers?.every(Number.isFinite)) {
          throw new Error(`the output ${name} contains values that are not finite numbers`);
        }
      }
    }
    await session.release();
    return { fused, milliseconds: fastest };
  } catch (cause) {
    throw new LookoutError('MODEL_UNUSABLE', `ONNX Runtime cannot run the model: ${messageOf(cause)}`, {
      cause,
    });
  } finally {
    await removeFolder(folder);
  }
}

/** Counts the operators of the model that ONNX Runtime writes after its optimisation. */
async function fusedOperators(bytes: Uint8Array, file: string): Promise<Record<string, number> | null> {
  try {
    const session = await openSession(bytes, { ...OPTIONS, optimizedModelFilePath: file });
    await session.release();
    const fused: Record<string, number> = {};
    for (const { opType } of decodeModel(await readFile(file)).graph.node) {
      fused[opType] = (fused[opType] ?? 0) + 1;
    }
    return fused;
  } catch {
    return null;
  }
}
