/** Quantises a model file on this device, for the CPU and for TensorRT. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { LookoutError, messageOf } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import type { InputRange } from '../model/input-range.ts';
import { DESCRIPTION_KEY, loadModel } from '../model/load-model.ts';
import { encodeModel, type OnnxModel, setMetadata } from '../model/onnx.ts';
import { requireTask } from '../model/task.ts';
import { writeAll } from '../runtime/write-file.ts';
import { openTflite } from './import.ts';
import { readExported } from './quantize/exported.ts';
import type { GuessedRange } from './quantize/guess-range.ts';
import { type Quantized, quantizeModel } from './quantize/quantize.ts';
import { isTflite } from './tflite/read-tflite.ts';
import { type Trial, tryModel } from './trial.ts';

export interface QuantizeFileOptions {
  /** An .onnx file, float or already quantised, or a .tflite file. */
  file: string;
  labels?: string | undefined;
  description?: string | undefined;
  /** Input range of a float model, if neither the file nor a description states it. */
  range?: InputRange | undefined;
  /** Share of the multiply-adds that the first layers may compute in floats, 0…1; by default a tenth. */
  floatShare?: number | undefined;
  /** Output file for the CPU; the one for TensorRT is written next to it. */
  out?: string | undefined;
  /** Calibration images, uint8 1×H×W×C in the model's size and channel order. */
  images: (input: ModelDescription['input']) => Promise<Uint8Array[]>;
  log: (message: string) => void;
  /** Called with the share of the work that is done, 0…1. */
  onProgress: (share: number) => void;
}

export interface QuantizeReport {
  cpu: { file: string; bytes: number; trial: Trial };
  tensorrt: { file: string; bytes: number };
  /** Size and speed of the source model. */
  source: { bytes: number; milliseconds: number };
  description: ModelDescription;
  /** The guessed range of a float input, if nothing states it. */
  assumed: GuessedRange | null;
  images: number;
  result: Omit<Quantized, 'models'>;
}

/**
 * Writes either both files or none.
 * @throws LookoutError MODEL_*, CAPTURE_*
 */
export async function quantizeFile(options: QuantizeFileOptions): Promise<QuantizeReport> {
  const { model, description, assumed } = await openModel(options);
  const images = await options.images(description.input);
  options.log(`${images.length} images`);
  const { models, ...result } = await orUnsupported(options.file, () =>
    quantizeModel(model, description.input, images, {
      output: description.output,
      ...(options.floatShare !== undefined && { maxFloatShare: options.floatShare }),
      log: options.log,
      onProgress: options.onProgress,
    }),
  );
  const cpu = finish(models.cpu, description);
  const tensorrt = finish(models.tensorrt, description);
  const trial = await tryModel(cpu.bytes, cpu.description);
  await tryModel(tensorrt.bytes, tensorrt.description);
  const before = encodeModel(model);
  const { milliseconds } = await tryModel(before, description);
  const { file } = options;
  const out = options.out ?? join(dirname(file), `${basename(file, extname(file))}.int8.onnx`);
  const beside = join(dirname(out), `${basename(out, extname(out))}.tensorrt.onnx`);
  await writeAll([
    { file: out, bytes: cpu.bytes },
    { file: beside, bytes: tensorrt.bytes },
  ]);
  return {
    cpu: { file: out, bytes: cpu.bytes.length, trial },
    tensorrt: { file: beside, bytes: tensorrt.bytes.length },
    source: { bytes: before.length, milliseconds },
    description: cpu.description,
    assumed,
    images: images.length,
    result,
  };
}

async function openModel(
  options: QuantizeFileOptions,
): Promise<{ model: OnnxModel; description: ModelDescription; assumed: GuessedRange | null }> {
  const { file, labels, description, range } = options;
  const content = await readFile(file).catch(() => Buffer.alloc(0));
  if (isTflite(content) || extname(file).toLowerCase() === '.tflite') {
    const opened = await openTflite({ file, labels, description, range }, { plain: true });
    requireTask(opened.description, 'classify', file);
    return { ...opened, model: opened.converted.model };
  }
  const loaded = await loadModel({ file, labels, description }, '', { range });
  const bytes = await readFile(loaded.file);
  const source = { file: basename(file), sha256: createHash('sha256').update(bytes).digest('hex') };
  const model = await orUnsupported(file, () => readExported(loaded.file, loaded.description.input));
  return { model, description: { source, ...loaded.description }, assumed: null };
}

/** Writes the description into one form of the model. */
function finish(
  { model, input }: Quantized['models']['cpu'],
  description: ModelDescription,
): { bytes: Uint8Array; description: ModelDescription } {
  const own = { ...description, name: `${description.name}_int8`, input: { ...description.input, ...input } };
  setMetadata(model, DESCRIPTION_KEY, JSON.stringify(own));
  return { bytes: encodeModel(model), description: own };
}

async function orUnsupported<T>(file: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (cause instanceof LookoutError) throw cause;
    throw new LookoutError('MODEL_OPERATOR_UNSUPPORTED', `cannot quantise ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
