/** Runs a model on images and observes its values. */
import { DataType, encodeModel, integer, type OnnxModel } from '../../model/onnx.ts';
import { openSession, Tensor } from '../../model/onnxruntime.ts';

/** One input of a model, in its layout and type. */
export type CalibrationInput = Uint8Array | Int8Array | Float32Array;

/** Statistics of one value. */
export interface Statistics {
  min: number;
  max: number;
  /** Mean and largest magnitude of each channel (the second dimension). */
  channelMeans: Float64Array;
  channelSizes: Float64Array;
  /** Elements of the value, for one image. */
  size: number;
  /** Counts in equal bins of min…max. */
  histogram: Float64Array;
}

const BINS = 2048;
/** About this many elements of a value are counted for each image. */
const SAMPLED = 20_000;

/**
 * Calls `watch` with every value of `names` for every input.
 * @param type of the values
 * @param inputs each as long as the model's input
 */
export async function observe(
  model: OnnxModel,
  names: readonly string[],
  inputs: Iterable<CalibrationInput>,
  watch: (name: string, values: Float32Array | Uint8Array | Int8Array, dims: readonly number[]) => void,
  type: number = DataType.float,
): Promise<void> {
  const graph = { ...model.graph };
  const missing = names.filter((name) => !graph.output.some((output) => output.name === name));
  graph.output = [
    ...graph.output,
    ...missing.map((name) => ({ name, type: { tensorType: { elemType: type } } })),
  ];
  const session = await openSession(encodeModel({ ...model, graph }), { exact: 'auto', logSeverityLevel: 3 });
  try {
    const constants = new Set(graph.initializer.map(({ name }) => name));
    const input = graph.input.find(({ name }) => !constants.has(name))!;
    const dims = (input.type?.tensorType?.shape?.dim ?? []).map((d) => integer(d.dimValue ?? 1) || 1);
    for (const data of inputs) {
      const results = await session.run({ [input.name]: tensorOf(data, dims) }, [...names]);
      for (const name of names) watch(name, results[name]!.data as Float32Array, results[name]!.dims);
    }
  } finally {
    await session.release();
  }
}

/**
 * Runs over the inputs twice: first for the limits, then for the histograms.
 * @param onProgress called with the share of the work that is done, 0…1
 */
export async function gather(
  model: OnnxModel,
  names: readonly string[],
  inputs: readonly CalibrationInput[],
  onProgress: (share: number) => void = () => {},
): Promise<Map<string, Statistics>> {
  const statistics = new Map<string, Statistics>();
  let done = 0;
  const count = (name: string) => {
    if (name === names.at(-1)) onProgress(++done / (2 * inputs.length));
  };
  await observe(model, names, inputs, (name, values, dims) => {
    const channels = dims.length > 1 ? dims[1]! : 1;
    const known = statistics.get(name) ?? empty(channels, values.length);
    statistics.set(name, known);
    widen(known, values, channels, inputs.length);
    count(name);
  });
  await observe(model, names, inputs, (name, values) => {
    const { min, max, histogram } = statistics.get(name)!;
    const width = BINS / Math.max(max - min, 1e-12);
    // An odd step covers all columns of the image.
    const step = Math.floor(values.length / SAMPLED / 2) * 2 + 1;
    for (let i = 0; i < values.length; i += step) {
      histogram[Math.min(BINS - 1, Math.floor((values[i]! - min) * width))]!++;
    }
    count(name);
  });
  return statistics;
}

function empty(channels: number, size: number): Statistics {
  return {
    size,
    min: Infinity,
    max: -Infinity,
    channelMeans: new Float64Array(channels),
    channelSizes: new Float64Array(channels),
    histogram: new Float64Array(BINS),
  };
}

function widen(
  known: Statistics,
  values: Float32Array | Uint8Array | Int8Array,
  channels: number,
  images: number,
): void {
  const area = values.length / channels;
  for (let channel = 0; channel < channels; channel++) {
    let [sum, low, high] = [0, Infinity, -Infinity];
    for (let i = channel * area; i < (channel + 1) * area; i++) {
      const value = values[i]!;
      sum += value;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    known.channelMeans[channel]! += sum / area / images;
    known.channelSizes[channel] = Math.max(known.channelSizes[channel]!, -low, high);
    known.min = Math.min(known.min, low);
    known.max = Math.max(known.max, high);
  }
}

function tensorOf(data: CalibrationInput, dims: number[]): Tensor {
  if (data instanceof Uint8Array) return new Tensor('uint8', data, dims);
  return data instanceof Int8Array ? new Tensor('int8', data, dims) : new Tensor('float32', data, dims);
}
