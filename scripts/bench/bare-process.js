/**
 * The mark that the start is held against: a process that opens a model with ONNX Runtime, runs it once and says so. It is
 * plain JavaScript, for Node.js would take a while to compile anything else.
 */
// biome-ignore lint/style/noRestrictedImports: the mark is the package itself, with nothing of Lookout around it
import { InferenceSession, Tensor } from 'onnxruntime-node';

const session = await InferenceSession.create(process.argv[2], {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
});
const [input] = session.inputMetadata;
const data = new Uint8Array(input.shape.reduce((product, length) => product * length, 1));
await session.run({ [input.name]: new Tensor('uint8', data, input.shape) });
process.stdout.write('ran\n');
