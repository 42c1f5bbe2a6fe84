/** Finds the other encodings of a model that `lookout model quantize` wrote next to it. */
import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { loadModel } from '../model/load-model.ts';

const ENDINGS = ['.int8.onnx', '.int8.tensorrt.onnx', '.onnx'];

/** Files with the labels and the name of `file` but another encoding; `file` itself comes first. */
export async function encodingsOf(file: string): Promise<string[]> {
  const ending = ENDINGS.find((candidate) => file.endsWith(candidate));
  if (ending === undefined) return [file];
  const stem = file.slice(0, -ending.length);
  const { labels } = (await loadModel({ file }, '/')).description;
  const found = [file];
  for (const other of ENDINGS.map((candidate) => stem + candidate)) {
    if (other === file || !existsSync(other)) continue;
    const same = await loadModel({ file: other }, '/').then(
      ({ description }) => isDeepStrictEqual(description.labels, labels),
      () => false,
    );
    if (same) found.push(other);
  }
  return found;
}
