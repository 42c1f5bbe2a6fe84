/**
 * Runs a model in a process of its own, so that it may find another processor:
 * `node run-model.ts MODEL INPUT SESSION` prints the first output as JSON. INPUT is a file with the bytes of the only
 * input, SESSION the settings of ONNX Runtime's session as JSON.
 */
import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [model, input, settings] = process.argv.slice(2) as [string, string, string];
const session = await InferenceSession.create(model, {
  logSeverityLevel: 3,
  intraOpNumThreads: 1,
  extra: { session: JSON.parse(settings) as Record<string, string> },
});
const [wanted] = session.inputMetadata;
if (!wanted?.isTensor) throw new Error('the model has no tensor input');
const shape = wanted.shape.map(Number);
const tensor =
  wanted.type === 'uint8'
    ? new Tensor('uint8', readFileSync(input), shape)
    : new Tensor('float32', new Float32Array(new Uint8Array(readFileSync(input)).buffer), shape);
const outputs = await session.run({ [wanted.name]: tensor });
const { data } = outputs[session.outputNames[0]!]!;
process.stdout.write(JSON.stringify(Array.from(data as Float32Array)));
await session.release();
