/** Operators that make a picture of features larger. */
import { makeValue, PLANES } from './conversion.ts';
import { ints } from './elements.ts';
import type { Layer } from './layer-operators.ts';

export const scalings: Record<string, Layer> = {
  RESIZE_BILINEAR: (conversion, operator, output) => {
    const { options, inputs } = operator;
    const value = conversion.asPlanes(conversion.value(inputs[0]));
    const [batch = 1, rows = 0, columns = 0, channels = 0] = value.shape;
    const [height = 0, width = 0] = inputs[1] ? ints(inputs[1]) : [];
    if (height < 1 || width < 1) conversion.refuse(operator, 'computes its size');
    const corners = (options?.int8(2) ?? 0) !== 0;
    const pixels = (options?.int8(3) ?? 0) !== 0;
    const transformation = corners ? 'align_corners' : pixels ? 'half_pixel' : 'asymmetric';
    const layout = { shape: [batch, height, width, channels], axes: PLANES };
    const { graph } = conversion;
    const factors = Float32Array.of(1, 1, height / rows, width / columns);
    const resized = (float: string) =>
      graph.node('Resize', [float, '', graph.constant('factors', factors, [4])], {
        mode: 'linear',
        coordinate_transformation_mode: transformation,
      });
    if (conversion.plain || !value.int) {
      return conversion.quantized(resized(conversion.float(value)), output, layout);
    }
    // TensorFlow Lite mixes the stored integers and rounds ties up; ONNX Runtime rounds ties to even. So the stored
    // numbers are mixed here, too, and become larger by so little that only ties round differently.
    const stored = { scale: 1, zeroPoint: 0, type: 'uint8' } as const;
    const mixed = resized(graph.dequantize(value.int.name, stored));
    const name = graph.quantize(mixed, { ...stored, scale: 1 - EPSILON }, conversion.nameOf(output));
    return makeValue(layout, { name, quantization: value.int.quantization });
  },
};

/** Twice the size mixes in sixteenths: 255 times this is less than half of one. */
const EPSILON = 1 / (255 * 64);
