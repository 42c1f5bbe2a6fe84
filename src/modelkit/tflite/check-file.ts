/** Refuses files that cannot be converted, before anything is built, with all problems in one message. */
import { LookoutError } from '../../errors.ts';
import { LAYERS } from './layer-operators.ts';
import { shortName, type TfliteModel, type TfliteOperator, type TfliteTensor } from './read-tflite.ts';

/** Operators with weights: if they compute in floats, the file is a "float" or a "dynamic range" one. */
const WEIGHTED = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED']);

const howToQuantise = (file: string, operators: readonly TfliteOperator[]) => {
  const here = `run \`lookout model quantize ${file} --calibrate FOLDER\` with images of what the camera sees`;
  return isTeachable(file, operators)
    ? `In Teachable Machine choose TensorFlow Lite › Quantized, or ${here}.`
    : `Export it again with full integer quantisation (see docs/models.md), or ${here}.`;
};

/** Recognises Teachable Machine's names of files and layers. */
function isTeachable(file: string, operators: readonly TfliteOperator[]): boolean {
  const made = operators.some(({ outputs }) =>
    outputs.some(({ name }) => /^sequential_\d+\/dense_Dense\d/.test(name)),
  );
  return made || /model_unquant\.tflite$/.test(file);
}

/**
 * The operators that the outputs need, in order. Operators that only compute the shapes of RESHAPE are left out: the file
 * states those shapes.
 */
export function neededOperators(model: TfliteModel): TfliteOperator[] {
  const used = new Set(model.outputs);
  const needed = new Set<TfliteOperator>();
  for (const operator of [...model.operators].reverse()) {
    if (!operator.outputs.some((output) => used.has(output))) continue;
    needed.add(operator);
    const inputs = operator.name === 'RESHAPE' ? operator.inputs.slice(0, 1) : operator.inputs;
    for (const input of inputs) if (input) used.add(input);
  }
  return model.operators.filter((operator) => needed.has(operator));
}

/** Whether a file computes in floats, completely or partly, and must be quantised. */
export function computesInFloats(model: TfliteModel): boolean {
  return model.operators.some((operator) => WEIGHTED.has(operator.name) && !isInteger(operator));
}

/**
 * @param file named in errors
 * @param float whether layers may compute in floats
 * @throws LookoutError MODEL_OPERATOR_UNSUPPORTED, MODEL_NOT_QUANTIZED, MODEL_QUANTIZATION_INVALID
 */
export function checkOperators(operators: readonly TfliteOperator[], file: string, float = false): void {
  const unsupported = operators.filter(({ name }) => !Object.hasOwn(LAYERS, name));
  const list = counted(unsupported);
  const floats = operators.filter((operator) => WEIGHTED.has(operator.name) && !isInteger(operator));
  if (floats.length > 0 && !float) {
    const foreign = list ? `; these operators are not supported either: ${list}` : '';
    throw new LookoutError(
      'MODEL_NOT_QUANTIZED',
      `${file} is not fully quantised: ${floatKind(floats, operators)}${foreign}`,
      { hint: howToQuantise(file, operators) },
    );
  }
  if (list) {
    throw new LookoutError(
      'MODEL_OPERATOR_UNSUPPORTED',
      `${file} has operators that are not supported: ${list}`,
      {
        hint: 'Export the network without them, or use another one: docs/models.md lists the supported operators.',
      },
    );
  }
  const tensors = new Set(operators.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]));
  const sparse = [...tensors].flatMap((tensor) => (tensor?.sparse ? [nameOf(tensor)] : []));
  if (sparse.length > 0) {
    throw new LookoutError(
      'MODEL_OPERATOR_UNSUPPORTED',
      `${file} has sparse weights, which cannot be converted: ${sparse.join(', ')}`,
      { hint: 'Export it again without tf.lite.Optimize.EXPERIMENTAL_SPARSITY.' },
    );
  }
  const problems = [
    ...[...tensors].flatMap((tensor) => (tensor ? quantizationProblems(tensor) : [])),
    ...operators.flatMap(operatorProblems),
  ];
  if (problems.length > 0) {
    const shown = problems.slice(0, 8).join('; ');
    const more = problems.length > 8 ? ` and ${problems.length - 8} more` : '';
    throw new LookoutError('MODEL_QUANTIZATION_INVALID', `${file}: ${shown}${more}`, {
      hint: 'Export or download the model again; the file contradicts itself.',
    });
  }
}

/** Each name once, with its count. */
function counted(operators: readonly TfliteOperator[]): string {
  const counts = new Map<string, number>();
  for (const { name } of operators) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count > 1 ? `${name} ×${count}` : name)).join(', ');
}

function isInteger({ inputs: [input, weights], outputs: [output] }: TfliteOperator): boolean {
  const int = (tensor: TfliteTensor | null | undefined) =>
    tensor?.type === 'uint8' || tensor?.type === 'int8';
  return int(input) && int(weights) && int(output);
}

function floatKind(floats: readonly TfliteOperator[], operators: readonly TfliteOperator[]): string {
  const [first] = floats as [TfliteOperator];
  // Converters leave small layers in floats, so every layer must be checked.
  const weights = new Set(floats.map(({ inputs }) => inputs[1]?.type));
  const half = operators.some(
    ({ name, inputs }) => name === 'DEQUANTIZE' && inputs[0]?.data && inputs[0].type === 'float16',
  );
  const kind =
    first.inputs[0]?.type === 'int16'
      ? 'its activations are 16-bit'
      : weights.has('int8') || weights.has('uint8')
        ? 'its weights are 8-bit but it computes in floats ("dynamic range")'
        : half
          ? 'its weights are float16 and it computes in floats'
          : 'it computes in floats';
  return `${kind} in ${floats.length} ${floats.length === 1 ? 'layer' : 'layers'}`;
}

function quantizationProblems(tensor: TfliteTensor): string[] {
  const { type, scales, zeroPoints, axis, shape } = tensor;
  if (type !== 'uint8' && type !== 'int8') return [];
  const name = nameOf(tensor);
  if (scales.length === 0) return [`${name} has no scale`];
  if (scales.some((scale) => !(scale > 0 && scale < Infinity)))
    return [`${name} has a scale that is not positive`];
  const [low, high] = type === 'uint8' ? [0, 255] : [-128, 127];
  if (zeroPoints.some((zero) => zero < low || zero > high))
    return [`${name} has a zero point outside ${low}…${high}`];
  if (zeroPoints.length > 1 && zeroPoints.length !== scales.length) {
    return [`${name} has ${scales.length} scales and ${zeroPoints.length} zero points`];
  }
  if (scales.length === 1) return [];
  if (!tensor.data) return [`${name} is not constant, but has ${scales.length} scales`];
  if (shape[axis] !== scales.length)
    return [`${name} of ${shape.join('×')} has ${scales.length} scales on axis ${axis}`];
  return zeroPoints.some((zero) => zero !== 0)
    ? [`${name} has zero points other than 0 for separate channels`]
    : [];
}

/** Checks the scales that single operators require. */
function operatorProblems(operator: TfliteOperator): string[] {
  const [input, second, third] = operator.inputs;
  const [output] = operator.outputs;
  switch (operator.name) {
    case 'CONV_2D':
    case 'DEPTHWISE_CONV_2D':
    case 'FULLY_CONNECTED':
      return isInteger(operator) && second?.data && third ? biasProblems(input, second, third) : [];
    case 'AVERAGE_POOL_2D':
    case 'MAX_POOL_2D':
    case 'RESIZE_BILINEAR':
    case 'RESHAPE':
    case 'SQUEEZE':
    case 'PAD':
    case 'PADV2':
      return sameScale(input, output)
        ? []
        : [`${operator.name} ${nameOf(output)} changes the scale of ${nameOf(input)}`];
    default:
      return [];
  }
}

function sameScale(a: TfliteTensor | null | undefined, b: TfliteTensor | null | undefined): boolean {
  const close = Math.abs((a?.scales[0] ?? 1) / (b?.scales[0] ?? 1) - 1) < 1e-5;
  return close && (a?.zeroPoints[0] ?? 0) === (b?.zeroPoints[0] ?? 0);
}

/** The scale of a bias must be input scale × weight scale, so that it can be added to the products. */
function biasProblems(
  input: TfliteTensor | null | undefined,
  weights: TfliteTensor,
  bias: TfliteTensor,
): string[] {
  if (bias.type !== 'int32') return [`${nameOf(bias)} is ${bias.type} instead of int32`];
  const wrong = bias.scales.some((scale, channel) => {
    const weightScale = weights.scales[channel] ?? weights.scales[0]!;
    const expected = (input?.scales[0] ?? 1) * weightScale;
    return Math.abs(scale - expected) > 0.02 * expected;
  });
  return wrong
    ? [`the scale of ${nameOf(bias)} is not the scale of its input times the scale of its weights`]
    : [];
}

function nameOf(tensor: TfliteTensor | null | undefined): string {
  return shortName(tensor?.name ?? 'nothing');
}
