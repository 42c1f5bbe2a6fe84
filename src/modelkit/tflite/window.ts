/** Windows, padding and fused activations of convolutions and pools. */
import { type Bounds, type Conversion, type Layout, PLANES, type Value } from './conversion.ts';
import type { TfliteOperator } from './read-tflite.ts';

/** Activations that are separate operators. */
export const SEPARATE: Record<string, Bounds> = {
  RELU: [0, Infinity],
  RELU_0_TO_1: [0, 1],
  RELU_N1_TO_1: [-1, 1],
  RELU6: [0, 6],
};

/** Activations fused into another operator, by ActivationFunctionType. */
const FUSED: Record<number, Bounds> = { 1: [0, Infinity], 2: [-1, 1], 3: [0, 6] };

/** Padding */
export const VALID = 1;

export interface Window {
  kernel: [rows: number, columns: number];
  stride: [rows: number, columns: number];
  dilation: [rows: number, columns: number];
  valid: boolean;
}

/** The range of an operator's fused activation; null if it has none. */
export function fusedBounds(conversion: Conversion, operator: TfliteOperator, kind: number): Bounds | null {
  if (kind === 0) return null;
  return FUSED[kind] ?? conversion.refuse(operator, `has the unknown fused activation ${kind}`);
}

/** ONNX's pads (top, left, bottom, right) for a window over `rows` × `columns`: "same" puts the odd one last. */
export function padsOf(window: Window, rows: number, columns: number, pending: Value['padding']): number[] {
  if (pending) return [pending.top, pending.left, pending.bottom, pending.right];
  if (window.valid) return [0, 0, 0, 0];
  const along = (size: number, axis: 0 | 1): [number, number] => {
    const reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
    const steps = Math.ceil(size / window.stride[axis]);
    const missing = Math.max(0, (steps - 1) * window.stride[axis] + reach - size);
    return [missing >> 1, missing - (missing >> 1)];
  };
  const [top, bottom] = along(rows, 0);
  const [left, right] = along(columns, 1);
  return [top, left, bottom, right];
}

/**
 * Checks the sizes of a window: sizes that no real layer has mean a damaged file.
 * @returns the layout of the output
 */
export function checkWindow(conversion: Conversion, operator: TfliteOperator, window: Window): Layout {
  const sizes = [...window.kernel, ...window.stride, ...window.dilation];
  if (sizes.some((size) => size < 1 || size > 1024))
    conversion.refuse(operator, 'has a window of an invalid size');
  const { shape = [] } = operator.outputs[0] ?? {};
  if (shape.length !== 4) conversion.refuse(operator, `has an output of ${shape.join('×')}`);
  return { shape, axes: PLANES };
}
