/** Reads the metadata of a TensorFlow Lite file (metadata schema 1.0.1) and the labels packed with it. */

import { parseLabels } from '../../model/label-file.ts';
import type { Quantization } from '../../model/onnx-graph.ts';
import { Table } from './flatbuffer.ts';
import type { TfliteModel } from './read-tflite.ts';
import { packedFiles } from './zip.ts';

export interface TfliteMetadata {
  name: string | null;
  licence: string | null;
  author: string | null;
  /** Labels of the first output, or null. */
  labels: string[] | null;
  /** How pixels of 0…255 become the model's floats: (pixel − mean) / deviation, per channel or for all. */
  normalisation: { mean: number[]; deviation: number[] } | null;
}

const AXIS_LABELS = 2;
const NORMALISATION = 1;

/** Returns what can be read; damaged metadata is ignored. */
export function readMetadata(bytes: Uint8Array, model: TfliteModel): TfliteMetadata {
  const found: TfliteMetadata = {
    name: null,
    licence: null,
    author: null,
    labels: null,
    normalisation: null,
  };
  try {
    const root = model.metadata && Table.root(model.metadata);
    const subgraph = root?.tables(3)[0];
    found.name = root?.text(0) ?? null;
    found.author = root?.text(4) ?? null;
    found.licence = root?.text(5) ?? null;
    found.normalisation = normalisationOf(subgraph?.tables(2)[0]);
    found.labels = labelsOf(subgraph?.tables(3)[0], packedFiles(bytes));
  } catch {
    // A model works without metadata.
  }
  return found;
}

/** Mean and scale for a float input: (byte − mean) × scale. */
export function floatPixels(
  { mean, deviation }: NonNullable<TfliteMetadata['normalisation']>,
  channels: number,
): { mean: number[]; scale: number[] } {
  const each = (values: readonly number[]) =>
    Array.from({ length: channels }, (_, channel) => values[channel] ?? values[0]!);
  return { mean: each(mean), scale: each(deviation).map((size) => 1 / size) };
}

/**
 * Mean and scale for the integers that a file makes of its float input: (byte − mean) × scale.
 * @returns null if the integers are the bytes themselves
 */
export function intPixels(
  normalisation: NonNullable<TfliteMetadata['normalisation']>,
  { scale: step, zeroPoint }: Quantization,
  channels: number,
): { mean: number[]; scale: number[] } | null {
  const floats = floatPixels(normalisation, channels);
  const scale = floats.scale.map((factor) => factor / step);
  const mean = floats.mean.map((level, channel) => level - zeroPoint / scale[channel]!);
  const same = scale.every((each, channel) =>
    [0, 255].every((byte) => Math.abs((byte - mean[channel]!) * each - byte) < 1),
  );
  if (same || !scale.every(Number.isFinite)) return null;
  return { mean, scale };
}

function labelsOf(output: Table | undefined, files: Map<string, Buffer>): string[] | null {
  const named = output
    ?.tables(6)
    .find((file) => file.int8(2) === AXIS_LABELS)
    ?.text(0);
  const onlyText = [...files.keys()].filter((name) => name.endsWith('.txt'));
  const name = named ?? (onlyText.length === 1 ? onlyText[0] : undefined);
  const content = files.get(name ?? '');
  const labels = content && parseLabels(content.toString());
  return labels?.length ? labels : null;
}

function normalisationOf(input: Table | undefined): TfliteMetadata['normalisation'] {
  const unit = input?.tables(4).find((process) => process.uint8(0) === NORMALISATION);
  const options = unit?.table(1);
  const mean = options?.float32s(0) ?? [];
  const deviation = options?.float32s(1) ?? [];
  return mean.length > 0 && deviation.length > 0 ? { mean, deviation } : null;
}
