/** Says what a file is that is no ONNX model, and what to do with it. Read only when one is refused. */
import { LookoutError } from '../errors.ts';
import { foreignFile } from './file-kind.ts';
import { computesWithReals } from './tflite/check-file.ts';
import { checkPurpose } from './tflite/purpose.ts';
import { isTflite, readTflite } from './tflite/read-tflite.ts';

/** @returns null for bytes that nothing is known of */
export function notOnnx(bytes: Uint8Array, file: string): LookoutError | null {
  if (!isTflite(bytes)) return foreignFile(bytes, file, 'an ONNX model');
  let command = `lookout model import ${file}`;
  try {
    const model = readTflite(bytes);
    checkPurpose(model, file);
    if (computesWithReals(model)) command = `lookout model quantize ${file} --calibrate FOLDER`;
  } catch (error) {
    if (error instanceof LookoutError) return error;
    // A damaged one is refused by the import, with the reason.
  }
  return new LookoutError(
    'MODEL_FORMAT_UNSUPPORTED',
    `${file} is a TensorFlow Lite model; expected an ONNX one`,
    { hint: `Convert it with \`${command}\` and name the .onnx file that it writes.` },
  );
}
