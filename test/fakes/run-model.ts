/**
 * Runs models in a process of its own, so that it may find another processor: `node run-model.ts SESSION INPUTS MODEL…`
 * prints for each model, for each of its inputs, all its outputs one behind the other, as JSON. SESSION are the settings
 * of ONNX Runtime's session as JSON, INPUTS a file with the bytes of as many inputs as there are in it.
 */
import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [settings, inputs, ...models] = process.argv.slice(2) as [string, string, ...string[]];
const bytes = new Uint8Array(readFileSync(inputs));
const answers: number[][][] = [];
for (const model of models) {
  const session = await InferenceSession.create(model, {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
    extra: { session: JSON.parse(settings) as Record<string, string> },
  });
  const [wanted] = session.inputMetadata;
  if (!wanted?.isTensor) throw new Error('the model has no tensor input');
  const shape = wanted.shape.map(Number);
  const size = shape.reduce((product, length) => product * length, 1);
  const outputs: number[][] = [];
  for (let from = 0; from < bytes.length; from += size) {
    const tensor = new Tensor('uint8', bytes.slice(from, from + size), shape);
    const results = await session.run({ [wanted.name]: tensor });
    outputs.push(session.outputNames.flatMap((name) => Array.from(results[name]!.data as Float32Array)));
  }
  answers.push(outputs);
  await session.release();
}
process.stdout.write(JSON.stringify(answers));
