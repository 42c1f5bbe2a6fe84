/** Explains why a file is not an ONNX model, and what to do. Loaded only when a file is refused. */
import { LookoutError } from '../errors.ts';
import { foreignFile } from './file-kind.ts';
import { computesInFloats } from './tflite/check-file.ts';
import { findDetector } from './tflite/detector.ts';
import { checkPurpose } from './tflite/purpose.ts';
import { isTflite, readTflite } from './tflite/read-tflite.ts';

/** @returns null for unknown bytes */
export function notOnnx(bytes: Uint8Array, file: string): LookoutError | null {
  if (!isTflite(bytes)) return foreignFile(bytes, file, 'an ONNX model');
  let command = `lookout model import ${file}`;
  try {
    const model = readTflite(bytes);
    checkPurpose(model, file, findDetector(model, null, file) !== null);
    if (computesInFloats(model)) command = `lookout model quantize ${file} --calibrate FOLDER`;
  } catch (error) {
    if (error instanceof LookoutError) return error;
    // The import refuses a damaged file with the reason.
  }
  return new LookoutError(
    'MODEL_FORMAT_UNSUPPORTED',
    `${file} is a TensorFlow Lite model; expected an ONNX one`,
    { hint: `Convert it with \`${command}\` and name the .onnx file that it writes.` },
  );
}
