/** Maps each TensorFlow Lite operator to the function that converts it to ONNX. */
import { activations } from './activations.ts';
import { arithmetic } from './arithmetic.ts';
import type { Conversion, Value } from './conversion.ts';
import { convolution, fullyConnected } from './convolutions.ts';
import { moves } from './move-operators.ts';
import { pools } from './pools.ts';
import type { TfliteOperator, TfliteTensor } from './read-tflite.ts';
import { scalings } from './scaling.ts';

/** Converts one output of an operator. Options are read by field number of TensorFlow Lite's schema. */
export type Layer = (conversion: Conversion, operator: TfliteOperator, output: TfliteTensor) => Value;

/** The supported operators of image classifiers and detectors, whose exact integer arithmetic is implemented here. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  CONV_2D: convolution,
  DEPTHWISE_CONV_2D: convolution,
  FULLY_CONNECTED: fullyConnected,
  ...activations,
  ...arithmetic,
  ...moves,
  ...pools,
  ...scalings,
};
